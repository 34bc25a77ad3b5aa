"""A trained network -> ONNX, with a numeric parity check."""

from stylenorm.export.inference import EngineModule, openvino_module
from stylenorm.export.models import (
    export_adain,
    export_classifier,
    export_generator,
    export_predictor,
    export_segmenter,
)
from stylenorm.export.single import export_texture
from stylenorm.export.stylizer import export_stylizer, stylizer_to_onnx
from stylenorm.export.translators import export_label_painter, export_translator
from stylenorm.networks.loading import load_network, network_identity

__all__ = [
    "EngineModule",
    "export_adain",
    "export_classifier",
    "export_generator",
    "export_label_painter",
    "export_predictor",
    "export_segmenter",
    "export_stylizer",
    "export_texture",
    "export_translator",
    "load_network",
    "network_identity",
    "openvino_module",
    "stylizer_to_onnx",
]
