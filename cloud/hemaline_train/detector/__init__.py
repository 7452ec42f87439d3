"""The learned leukocyte detector: a small network that answers centres and boxes."""
