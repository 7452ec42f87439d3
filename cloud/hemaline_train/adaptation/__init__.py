"""Adapt a bundle to a laboratory: its networks stay, their heads learn from labelled cells."""
