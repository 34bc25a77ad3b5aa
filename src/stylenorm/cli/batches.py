"""What ``stylenorm stylize`` is asked about data sets and clusters."""

from __future__ import annotations

import argparse

from stylenorm.cli.usage import number_from

__all__ = ["add_batch_arguments"]


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of data sets and clusters."""
    group = parser.add_argument_group("data sets")
    group.add_argument(
        "--seed",
        type=number_from(0),
        default=0,
        metavar="N",
        help="of random styles and strengths; the same picture draws the same, wherever and whenever",
    )
    group.add_argument(
        "--styles-per-picture",
        type=number_from(1),
        default=1,
        metavar="N",
        help="how many of the random styles each picture gets (default: 1)",
    )
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="only the I-th of N parts, for machines that share the work",
    )
    group.add_argument(
        "--watch", action="store_true", help="go on, and paint what is put into the folders, until Ctrl-C"
    )
    group.add_argument(
        "--column", metavar="NAME", help="of Parquet files: which holds the pictures; default: the only one"
    )
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="paint by Ray: local, or a cluster's address as ray://head:10001 (needs 'stylenorm[ray]')",
    )
    group.add_argument(
        "--workers",
        type=number_from(1),
        metavar="N",
        help="of the cluster, each with one core; default: all of its cores",
    )
