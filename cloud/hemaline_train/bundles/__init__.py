"""Model bundles: from checkpoints to calibrated, eight-bit ONNX graphs."""
