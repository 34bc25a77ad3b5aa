"""Run an exported network: OpenVINO, ONNX Runtime, torch; one protocol, one registry, one fake for tests."""

from stylenorm.engines.engine import PRECISIONS, Engine
from stylenorm.engines.fake_engine import FakeEngine
from stylenorm.engines.memory import available_bytes
from stylenorm.engines.registry import AUTO, DEFAULT_ENGINE, ENGINES, EngineKind, open_engine

__all__ = [
    "AUTO",
    "DEFAULT_ENGINE",
    "ENGINES",
    "PRECISIONS",
    "Engine",
    "EngineKind",
    "FakeEngine",
    "available_bytes",
    "open_engine",
]
