"""How a tensor is cut into the tiles that the Triton kernels work on, by its shape and type alone.

Tile sizes follow from the shape of a plane, the number of channels and the type; never from the batch, so a
sample's result has the same bits in every batch. What does depend on the batch changes no bit: planes are
worked in groups that fit the GPU's cache, so that a second reading comes from there.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TUNING", "Plan", "Tuning", "plan", "power"]


@dataclass(frozen=True)
class Tuning:
    """Sizes that the tiles are chosen by; elements, unless said otherwise.

    Reckoned for an H100's caches and registers; no time was measured on any GPU yet.
    """

    whole_forward: int = 16384  # the most that one program holds
    whole_backward: int = 8192
    whole_least: int = 2048  # short planes are worked together until a program has this much
    tile: int = 4096  # what a program of a split plane has in registers at a time
    split_warps: int = 8  # of such a program
    least_tiles: int = 2  # a chunk has at least so many tiles
    most_tiles: int = 16  # and, up to most_chunks, at most so many: they bound what may cancel
    programs: int = 4224  # chunks of one sample, all channels together: 32 for each of an H100's 132 cores
    most_chunks: int = 256  # of a plane
    most_chunks_last: int = 1024  # of a channels-last plane
    line_bytes: int = 128  # what channels-last rows are read by
    sector_bytes: int = 32  # and the least of it
    group_bytes: int = 20 << 20  # what stays in the cache between two readings; half of an H100's
    group_programs: int = 512  # a group has at least so many, or there are no groups


TUNING = Tuning()


@dataclass(frozen=True)
class Plan:
    """How one tensor is cut: ``tile_p`` positions by ``tile_c`` channels, ``chunk`` positions a program."""

    tile_p: int
    tile_c: int
    warps: int
    whole: bool  # a plane is one tile
    chunk: int
    chunks: int  # of a plane
    tiles: int  # of lanes
    group: int  # tiles of lanes between two readings of which the cache holds the elements


def power(n: int) -> int:
    """The next power of two."""
    return 1 << max(n - 1, 0).bit_length()


def plan(
    n: int, c: int, length: int, itemsize: int, channels_last: bool, inputs: int, tuning: Tuning
) -> Plan:
    """How to cut (n, c, length); ``inputs``: 1 forward, 2 backward, tensors that are read twice."""
    most = tuning.whole_forward if inputs == 1 else tuning.whole_backward
    if itemsize == 8:
        most //= 2
    wide, narrow = tuning.line_bytes // itemsize, tuning.sector_bytes // itemsize
    tile_p = power(length)
    tile_c = 1
    if channels_last:
        wide, narrow = min(power(c), wide), min(power(c), narrow)
        tile_c = max(narrow, min(wide, tuning.whole_least // tile_p or 1))
    elif tile_p < tuning.whole_least:
        tile_c = tuning.whole_least // tile_p
    if tile_p * tile_c <= most:
        tiles = n * -(-c // tile_c) if channels_last else -(-n * c // tile_c)
        warps = min(16, max(1, tile_p * tile_c // 512))
        return Plan(tile_p, tile_c, warps, True, length, 1, tiles, tiles)
    tile_c = wide if channels_last else 1
    tile_p = tuning.tile // tile_c
    lanes = -(-c // tile_c) if channels_last else c
    wanted = -(-tuning.programs // lanes)
    steps = -(-length // tile_p)  # tiles of a plane
    each = min(max(steps // wanted, tuning.least_tiles), tuning.most_tiles)
    each = max(each, -(-steps // (tuning.most_chunks_last if channels_last else tuning.most_chunks)))
    chunk = each * tile_p
    chunks = -(-length // chunk)
    tiles = n * lanes
    fit = tuning.group_bytes // (inputs * itemsize * length * tile_c)
    if channels_last:  # channels of one sample share lines and pages: a group is whole samples
        fit = fit // lanes * lanes
    if fit * chunks < tuning.group_programs:  # reading twice costs less than an idle GPU
        fit = tiles
    return Plan(tile_p, tile_c, tuning.split_warps, False, chunk, chunks, tiles, min(fit, tiles))
