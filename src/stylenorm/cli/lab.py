"""``stylenorm lab``: list the experiments, run them, report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stylenorm.cli.usage import UsageError, add_quiet_argument, as_usage
from stylenorm.errors import MissingExtraError

if TYPE_CHECKING:
    from stylenorm.lab import Result

__all__ = ["HELP", "add_arguments", "list_experiments", "report", "run", "run_experiments"]

HELP = "the papers' findings, reproduced: list, run, report (needs torch)"
EPILOG = """examples:
  stylenorm lab list
  stylenorm lab run classification
  stylenorm lab run --all --photos photos/ --paintings starry-night.jpg
  stylenorm lab report -o report.html"""
RENAMED = {"--out": "--results"}

_RESULTS = Path("lab")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the three sub-commands."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Plain)
    listing = commands.add_parser("list", help="the experiments, and what came out")
    listing.set_defaults(lab=list_experiments)

    running = commands.add_parser(
        "run",
        help="run experiments; what was stopped goes on",
        description="Run experiments and write their results to --results. Finished arms are kept there: "
        "after Ctrl-C the same command goes on with the others.",
    )
    running.set_defaults(lab=run_experiments)
    running.add_argument("names", nargs="*", metavar="NAME", help="see 'stylenorm lab list'")
    running.add_argument("--all", action="store_true", help="all of them")
    running.add_argument(
        "--size",
        choices=("tiny", "cpu", "gpu"),
        default="cpu",
        help="cpu: minutes on two cores (default); gpu: near the papers' sizes; tiny: to see that it runs",
    )
    running.add_argument("--photos", type=Path, metavar="DIR", help="photos to train on; else they are drawn")
    running.add_argument(
        "--paintings",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="the first is the painting that is learned (default: the thumbnail of a style that ships)",
    )
    running.add_argument(
        "--show",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="photos that results are shown on; else some of --photos",
    )
    running.add_argument(
        "--features",
        default="vgg16",
        metavar="NAMES",
        help="vgg16 (ships), vgg19 (downloaded once), or both with a comma (default: %(default)s)",
    )
    running.add_argument("--device", default="cpu", help="cpu (default), cuda, ...")
    add_quiet_argument(running, "no progress")
    for command in (running, reporting := commands.add_parser("report", help="one page of all results")):
        command.add_argument(
            "--results",
            type=Path,
            default=_RESULTS,
            metavar="DIR",
            help="folder of the results (default: %(default)s)",
        )
    reporting.set_defaults(lab=report)
    reporting.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("lab-report.html"),
        metavar="FILE",
        help="(default: %(default)s)",
    )
    reporting.add_argument(
        "--own", action="store_true", help="own results only; else those that ship stand beside them"
    )
    reporting.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def run(options: argparse.Namespace) -> int:
    """Carry the command out."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "lab", "the laboratory")
    return int(options.lab(options))


def list_experiments(options: argparse.Namespace) -> int:  # noqa: ARG001 (a sub-command's arguments)
    """Print each experiment's name, question and published verdict."""
    from stylenorm.lab import EXPERIMENTS, PUBLISHED, read_results

    published = read_results(PUBLISHED)
    width = max(map(len, EXPERIMENTS))
    for name, experiment in EXPERIMENTS.items():
        print(f"{name:{width}}  {experiment.question}")
        if name in published:
            print(f"{'':{width}}  published, {published[name].size} size: {published[name].verdict().words}")
    return 0


def run_experiments(options: argparse.Namespace) -> int:
    """Run the experiments that are named, and print their verdicts.

    Raises:
        UsageError: there is no such experiment, or photos, paintings, features or device are not as expected.
        TrainingError: a training cannot go on.
    """
    from stylenorm.lab import EXPERIMENTS, Bench, Material, Size, find_experiment, run_experiment

    if bool(options.names) == options.all:
        raise UsageError(f"expected names of experiments, or --all; there are: {', '.join(EXPERIMENTS)}")
    names = list(EXPERIMENTS) if options.all else options.names
    with as_usage():
        for name in names:
            find_experiment(name)
        material = Material(options.photos, options.paintings, options.show, options.features)
        material.networks()
        bench = Bench(options.results, material, _device(options.device), quiet=options.quiet)
    try:
        for name in names:
            _print_result(run_experiment(bench, name, Size(options.size)))
    except KeyboardInterrupt:
        print(
            f"stylenorm: interrupted; {bench.num_run + bench.num_found} arms are finished, and the same "
            "command goes on with the others",
            file=sys.stderr,
        )
        return 130
    print(f"{options.results}: report with: stylenorm lab report --results {options.results}")
    return 0


def report(options: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        UsageError: there is nothing to report, or the file exists.
        OutputError: the page cannot be written.
    """
    from stylenorm.lab import EXPERIMENTS, PUBLISHED, Size, read_results, report_page
    from stylenorm.media import atomic_write, check_output

    with as_usage():
        check_output(options.output, overwrite=options.overwrite)
        own = {size: read_results(options.results, size) for size in Size}
        others = {} if options.own else read_results(PUBLISHED)
    results: dict[str, list[Result]] = {}
    for name in EXPERIMENTS:
        # A run of the published size may take its place; those of other sizes stand beside it.
        first = own[Size.CPU].get(name) or others.get(name)
        beside = [own[size].get(name) for size in Size if size is not Size.CPU]
        if found := [each for each in (first, *beside) if each is not None]:
            results[name] = found
    if not results:
        raise UsageError(
            f"{options.results}: expected results of experiments, got none; 'stylenorm lab run' makes them"
        )
    page = report_page(results)
    with atomic_write(options.output, overwrite=options.overwrite) as file:
        file.write(page.encode())
    count = sum(map(len, own.values()))
    published = sum(map(len, results.values())) - count
    print(f"{options.output}: {count} results of your own, {published} published ones")
    return 0


def _print_result(result: Result) -> None:
    from stylenorm.lab import Size

    verdict = result.verdict()
    note = " (tiny size: only shows that it runs)" if result.size is Size.TINY else ""
    print(f"{result.name}: {verdict.words}{note}: {verdict.text} {verdict.reasons}", flush=True)


def _device(name: str) -> str:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise UsageError(f"--device: {name!r} is not there ({error})") from error
    return name


class _Plain(argparse.ArgumentParser):
    """A sub-command's parser; named, since sub-parsers otherwise take the class of their command's parser."""
