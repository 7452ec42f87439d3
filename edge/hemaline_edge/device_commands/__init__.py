"""What operators and readers elsewhere ask this device to do."""
