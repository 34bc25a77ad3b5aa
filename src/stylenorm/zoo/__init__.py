"""What ships in the wheel, and network folders of one's own: networks, their styles, thumbnails."""

from stylenorm.zoo.mixtures import ALL, parse_style
from stylenorm.zoo.network_folder import IDENTITY, NetworkFolder, shipped_network
from stylenorm.zoo.own import OWN_STYLES_VARIABLE, own_style, own_style_names, own_styles_folder

__all__ = [
    "ALL",
    "IDENTITY",
    "OWN_STYLES_VARIABLE",
    "NetworkFolder",
    "own_style",
    "own_style_names",
    "own_styles_folder",
    "parse_style",
    "shipped_network",
]
