"""The classical systems of the literature, on the splits and crops that the networks see."""
