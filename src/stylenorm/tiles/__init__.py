"""Pictures larger than the memory: painted tile by tile, exactly or fast, with statistics of the whole."""

from stylenorm.tiles.boxes import Box, TileGrid
from stylenorm.tiles.exact import paint_exact
from stylenorm.tiles.fast import paint_frozen, sample_statistics, sampled_boxes
from stylenorm.tiles.options import Layout, Tiling
from stylenorm.tiles.painting import paint_array
from stylenorm.tiles.pictures import array_checksum
from stylenorm.tiles.strokes import carry_detail, check_stroke_size, shrunk
from stylenorm.tiles.workspace import DiskWorkspace, MemoryWorkspace, Workspace

__all__ = [
    "Box",
    "DiskWorkspace",
    "Layout",
    "MemoryWorkspace",
    "TileGrid",
    "Tiling",
    "Workspace",
    "array_checksum",
    "carry_detail",
    "check_stroke_size",
    "paint_array",
    "paint_exact",
    "paint_frozen",
    "sample_statistics",
    "sampled_boxes",
    "shrunk",
]
