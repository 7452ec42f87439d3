"""The names by which every network's graph takes crops and gives answers."""

INPUT_NAME = "crops"
LOGITS_NAME = "logits"
MAPS_NAME = "activation_maps"
