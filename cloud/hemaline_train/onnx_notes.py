"""Exported graphs carry the exporter's notes: paths of the machine, which also change the hash."""

import onnx


def without_notes(model: onnx.ModelProto) -> bytes:
    """Return a graph's bytes without notes; the given model loses them, too."""
    for noted in (model, model.graph, *model.graph.node, *model.graph.initializer):
        del noted.metadata_props[:]
        noted.doc_string = ""
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())
