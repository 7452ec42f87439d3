"""Turns queued fields into cell predictions and slide results, with ONNX Runtime."""
