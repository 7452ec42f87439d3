"""What the devices are doing, as far as this side knows it."""
