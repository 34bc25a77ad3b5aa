"""A trained network -> ONNX, with a numeric parity check."""

from stylenorm.export.adain import export_adain
from stylenorm.export.classifier import export_classifier
from stylenorm.export.generator import export_generator
from stylenorm.export.inference import EngineModule, openvino_module
from stylenorm.export.label_painter import export_label_painter
from stylenorm.export.predictor import export_predictor
from stylenorm.export.segmenter import export_segmenter
from stylenorm.export.single import export_texture
from stylenorm.export.stylizer import export_stylizer, load_network, network_identity, stylizer_to_onnx
from stylenorm.export.translator import export_translator

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
