"""``stylenorm import``: weights that others trained, as folders that the other commands take."""

from __future__ import annotations

import argparse
from pathlib import Path

from stylenorm.cli.usage import UsageError, as_usage, number_from, positive_number
from stylenorm.errors import MissingExtraError

__all__ = ["HELP", "add_arguments", "run"]

HELP = "take over weights of CycleGAN, StyleGAN2, AdaIN, nnU-Net, MONAI and others (needs torch)"
EPILOG = """examples:
  stylenorm import latest_net_G.pth --size 256 -o run/
  stylenorm import mosaic.pth -o mosaic/
  stylenorm import decoder.pth --encoder vgg_normalised.pth -o adain/
  stylenorm import checkpoint_final.pth -o nnunet/
  stylenorm import dynunet.pt --window 96 96 96 --spacing 1 1 1 -o run/"""

_SEGMENT = "stylenorm segment scan.nii.gz --network {out} -o labels.nii.gz"
_GENERATE = "stylenorm generate --network {out} --seeds 0-15 -o grid.png"
_USE = {
    "spade": "stylenorm translate labels.png --network {out} -o photo.png",
    "adain": "stylenorm adain photo.jpg painting.jpg --network {out} -o out.png",
    "stylegan2": _GENERATE,
    "stylegan2-ada": _GENERATE,
    "nnunet": _SEGMENT,
    "dynunet": _SEGMENT,
}
_TRANSLATE = "stylenorm translate photo.jpg --network {out} -o out.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("weights", type=Path, metavar="FILE", help="a checkpoint: .pth, .pt or .safetensors")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--kind",
        choices=(
            *("cyclegan", "pix2pix", "johnson", "spade", "adain"),
            *("stylegan2", "stylegan2-ada", "dynunet", "nnunet"),
        ),
        help="of which network; default: as its layers' names say",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is in the folder")
    pictures = parser.add_argument_group("networks of pictures")
    pictures.add_argument("--direction", default="a-to-b", metavar="NAME", help="(default: %(default)s)")
    pictures.add_argument(
        "--size", type=number_from(8), metavar="PX", help="shorter side of the pictures that it learned from"
    )
    pictures.add_argument(
        "--residual",
        action="store_true",
        help="CycleGAN's generator was trained to add what it makes to the picture",
    )
    labels = parser.add_argument_group("SPADE")
    labels.add_argument(
        "--num-doublings", type=number_from(3, 6), default=5, metavar="N", help="(default: %(default)s)"
    )
    labels.add_argument(
        "--first-class", type=number_from(0, 1), default=0, metavar="N", help="in label maps (default: 0)"
    )
    labels.add_argument(
        "--edges",
        action="store_true",
        help="the last channel of its labels is edges of instances (COCO-Stuff)",
    )
    adain = parser.add_argument_group("pytorch-AdaIN")
    adain.add_argument("--encoder", type=Path, metavar="FILE", help="vgg_normalised.pth, beside the decoder")
    scans = parser.add_argument_group("networks of scans")
    scans.add_argument(
        "--window",
        type=number_from(8),
        nargs=3,
        metavar="N",
        help="sides in voxels; default: as nnU-Net's plans say, else 128",
    )
    scans.add_argument(
        "--spacing",
        type=positive_number,
        nargs=3,
        metavar="MM",
        help="what scans are resampled to; default: as nnU-Net's plans say, else nothing is",
    )


def run(options: argparse.Namespace) -> int:
    """Carry the command out.

    Raises:
        UsageError: the file is no checkpoint of a network that is known, or the folder has a model.
    """
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", "taking over weights")
    from stylenorm.export.importing import ImportOptions, import_weights

    if not options.overwrite and options.output.is_dir() and any(options.output.iterdir()):
        raise UsageError(f"{options.output}: expected an empty folder, or --overwrite")
    with as_usage():
        kind = import_weights(
            options.weights,
            options.output,
            ImportOptions(
                direction=options.direction,
                scale_px=options.size,
                residual=options.residual,
                num_doublings=options.num_doublings,
                first_class=options.first_class,
                edges=options.edges,
                encoder=options.encoder,
                window=tuple(options.window) if options.window else None,
                spacing_mm=tuple(options.spacing) if options.spacing else None,
            ),
            options.kind,
        )
    use = _USE.get(kind, _TRANSLATE).format(out=options.output)
    print(f"{options.output}: {kind}, compared with PyTorch; use it by: {use}")
    return 0
