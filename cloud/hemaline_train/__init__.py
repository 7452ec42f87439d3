"""Data sets, training, evaluation, classical baselines, export."""
