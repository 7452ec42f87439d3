"""Draws labelled cartoons of blood smears, for demos and load tests; never to claim accuracy."""

from hemaline_edge.simulator.settings import LEUKAEMIC, NORMAL, SPARSE, CellMix, SmearSettings
from hemaline_edge.simulator.smear import LabelledCell, LabelledField, SmearSimulator

__all__ = [
    "LEUKAEMIC",
    "NORMAL",
    "SPARSE",
    "CellMix",
    "LabelledCell",
    "LabelledField",
    "SmearSettings",
    "SmearSimulator",
]
