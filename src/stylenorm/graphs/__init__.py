"""An exported network's graph as data: read, frozen, cut into stages; needs no backend and no onnx."""

from stylenorm._moved import old_names
from stylenorm.graphs.checking import check_graph
from stylenorm.graphs.cutting import PHOTO, Map, Plan, Stage, cut_graph
from stylenorm.graphs.freezing import (
    frozen_graph,
    frozen_vector,
    measuring_graph,
    norm_sizes,
    norms_of,
    parse_statistics,
)
from stylenorm.graphs.onnx_file import Graph, Node
from stylenorm.graphs.volumes import (
    INSIDE,
    Layer,
    VolumeNorm,
    frozen_volume_graph,
    volume_layers,
    volume_norms,
)
from stylenorm.graphs.web import WEBGPU_TENSORS, web_graph

__all__ = [
    "INSIDE",
    "PHOTO",
    "WEBGPU_TENSORS",
    "Graph",
    "Layer",
    "Map",
    "Node",
    "Plan",
    "Stage",
    "VolumeNorm",
    "check_graph",
    "cut_graph",
    "frozen_graph",
    "frozen_vector",
    "frozen_volume_graph",
    "measuring_graph",
    "norm_sizes",
    "norms_of",
    "parse_statistics",
    "volume_layers",
    "volume_norms",
    "web_graph",
]

__getattr__ = old_names(__name__)
