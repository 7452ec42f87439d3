"""The one pixel pipeline: the edge, training and evaluation all call this code."""
