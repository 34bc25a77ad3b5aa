"""What ships in the wheel, and network folders of one's own: networks, their styles, thumbnails."""

from stylenorm.zoo.folder import IDENTITY, NetworkFolder, shipped_network
from stylenorm.zoo.mixtures import ALL, parse_style

__all__ = ["ALL", "IDENTITY", "NetworkFolder", "parse_style", "shipped_network"]
