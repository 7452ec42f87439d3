"""Data sets: what is known of them, their samples, and what must hold before training."""
