"""Pictures larger than the memory: painted tile by tile, exactly or fast, with statistics of the whole."""

from stylenorm.tiles.boxes import Box, TileGrid
from stylenorm.tiles.exact import paint_exact
from stylenorm.tiles.workspace import DiskWorkspace, MemoryWorkspace

__all__ = ["Box", "DiskWorkspace", "MemoryWorkspace", "TileGrid", "paint_exact"]
