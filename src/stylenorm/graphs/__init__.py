"""An exported network's graph as data: read, frozen, cut into stages; needs no backend and no onnx."""

from stylenorm.graphs.cutting import PHOTO, Map, Plan, Stage, cut_graph
from stylenorm.graphs.freezing import (
    frozen_graph,
    frozen_vector,
    measuring_graph,
    norm_sizes,
    norms_of,
    told_statistics,
)
from stylenorm.graphs.onnx_file import Graph, Node

__all__ = [
    "PHOTO",
    "Graph",
    "Map",
    "Node",
    "Plan",
    "Stage",
    "cut_graph",
    "frozen_graph",
    "frozen_vector",
    "measuring_graph",
    "norm_sizes",
    "norms_of",
    "told_statistics",
]
