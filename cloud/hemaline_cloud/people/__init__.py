"""Who people are, how they show it, and what they may do."""
