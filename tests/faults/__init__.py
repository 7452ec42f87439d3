"""`make faults`: a campaign that kills, starves and confuses every part, and counts the frames."""
