"""The settings of training runs, as a user writes them."""

FLAT_RUN = """
name = "one"
architecture = "resnet34"
[tasks]
cell-class = 1.0
[data_sets]
aml-deepapl = 1.0
"""
