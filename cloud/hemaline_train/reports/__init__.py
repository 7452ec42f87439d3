"""What a bundle is worth: evaluations and model cards."""
