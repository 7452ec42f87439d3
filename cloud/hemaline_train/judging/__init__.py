"""Figures with intervals, from answers and truth; pictures and tables of them."""
