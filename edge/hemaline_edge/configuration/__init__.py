"""What the fleet's operators set on this device."""
