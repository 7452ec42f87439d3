"""Where frames come from: a watched folder, a camera, a simulated microscope."""
