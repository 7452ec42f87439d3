"""ResNet-34 and DenseNet-121 as graphs, with random weights."""

import onnx

from hemaline_cloud.inference.graph import GraphBuilder

_RESNET34_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
_DENSENET121_STAGES = (6, 12, 24, 16)
_GROWTH = 32
_BOTTLENECK = 4 * _GROWTH
# Each residual branch starts small, so that sixteen of them do not blow the activations up.
_BRANCH_GAIN = 0.25


def resnet34(classes: int, seed: int) -> onnx.ModelProto:
    """Build ResNet-34 (He et al. 2016, table 1): basic blocks, stride in the first convolution."""
    graph = GraphBuilder("resnet34", seed)
    x = graph.relu(graph.norm(graph.conv(graph.normalised_crops(), 64, 7, stride=2)))
    x = graph.max_pool(x)
    for stage, (channels, blocks) in enumerate(_RESNET34_STAGES):
        for block in range(blocks):
            x = _residual(graph, x, channels, stride=2 if stage and not block else 1)
    return graph.finish(x, classes)


def _residual(graph: GraphBuilder, x: str, channels: int, stride: int) -> str:
    y = graph.relu(graph.norm(graph.conv(x, channels, 3, stride=stride)))
    y = graph.norm(graph.conv(y, channels, 3), _BRANCH_GAIN)
    if stride != 1 or graph.channels(x) != channels:
        x = graph.norm(graph.conv(x, channels, 1, stride=stride))
    return graph.relu(graph.add(x, y))


def densenet121(classes: int, seed: int) -> onnx.ModelProto:
    """Build DenseNet-121 (Huang et al. 2017, table 1): growth rate 32, compression 0.5."""
    graph = GraphBuilder("densenet121", seed)
    x = graph.relu(graph.norm(graph.conv(graph.normalised_crops(), 64, 7, stride=2)))
    x = graph.max_pool(x)
    for stage, layers in enumerate(_DENSENET121_STAGES):
        if stage:
            x = graph.relu(graph.norm(x))
            x = graph.average_pool(graph.conv(x, graph.channels(x) // 2, 1))
        for _ in range(layers):
            x = graph.concat([x, _dense_layer(graph, x)])
    return graph.finish(graph.relu(graph.norm(x)), classes)


def _dense_layer(graph: GraphBuilder, x: str) -> str:
    y = graph.conv(graph.relu(graph.norm(x)), _BOTTLENECK, 1)
    return graph.conv(graph.relu(graph.norm(y)), _GROWTH, 3)
