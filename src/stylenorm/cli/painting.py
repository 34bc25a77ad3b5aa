"""One run of ``stylenorm stylize``: the plan, the painter, and what is said of every picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from stylenorm.batches import (
    BatchPainter,
    BatchRun,
    EngineOptions,
    FilmPart,
    Listener,
    Manifest,
    Outcome,
    PaintOptions,
    RandomStyles,
    Shard,
    StrengthRange,
    Summary,
    Task,
    parse_random_styles,
    plan_tasks,
)
from stylenorm.cli.big import Megapixels, duration_text, tile_size
from stylenorm.cli.progress import Progress
from stylenorm.cli.usage import UsageError, as_usage
from stylenorm.errors import OutputError, PictureError, one_line, printable
from stylenorm.media import MAX_MEGAPIXELS, LeftOut, StyleDraw
from stylenorm.tiles import Tiling
from stylenorm.zoo import ALL, NetworkFolder, shipped_network

if TYPE_CHECKING:
    from stylenorm.cli.stylize import StylizeOptions

__all__ = ["stylize"]

_SHOWN_NAMES = 5


def stylize(options: StylizeOptions) -> int:
    """Plan, then paint; a failure is reported and the rest goes on.

    Returns:
        0, or 1 if a picture failed.

    Raises:
        UsageError: the plan cannot be made: an unknown style, an output that does not fit.
        MissingExtraError: the engine is not installed.
    """
    left_out = LeftOut()
    with ExitStack() as stack:
        with as_usage():
            _check(options)
            network = _network(options)
            styles = styles_of(options.style, network, options.seed, options.styles_per_picture)
            strengths = _strengths(options)
            shard = Shard.parse(options.shard) if options.shard else None
            tasks = plan_tasks(
                options.inputs,
                options.output,
                styles=styles,
                strengths=strengths,
                format=options.format,
                shard=shard,
                left_out=left_out,
            )
            if any(task.target is None for task in tasks) and sys.stdout.isatty():
                raise UsageError(
                    "standard output is a terminal: write to a file (-o painting.png) or into a pipe"
                )
            painter = stack.enter_context(_painter(options, network))
            for name in styles if isinstance(styles, tuple) else ():
                painter.style(name)  # an unknown one is said now
            manifest = stack.enter_context(Manifest(options.manifest)) if options.manifest else None
            is_batch = shard is not None or any(Path(given).is_dir() for given in options.inputs)
            progress = stack.enter_context(Progress(len(tasks), "picture", enabled=not options.quiet))
            run = BatchRun(
                tasks,
                painter,
                listener=_Shown(progress),
                manifest=manifest,
                skip_existing=options.skip_existing,
                lanes=painter.threads if is_batch else None,
            )
        said = _Said(options, progress, run.summary, len(tasks))
        for problem in left_out.problems():
            progress.print(f"stylenorm: {problem}")
        if left_out.skipped():
            said.note(left_out.skipped())
        return max(said.all_of(run), 1 if left_out.problems() else 0)


def styles_of(
    texts: Iterable[str], network: NetworkFolder, seed: int, per_picture: int
) -> tuple[str, ...] | StyleDraw:
    """Return the styles that ``--style`` names, once each, or what draws them.

    Raises:
        UsageError: there are none, or ``random`` is mixed with others.
    """
    texts = tuple(texts)
    for text in texts:
        drawn = parse_random_styles(text, network)
        if drawn is None:
            continue
        if len(texts) > 1:
            raise UsageError(f"--style {text}: expected it alone, got others beside it; or random:A,B,C")
        return RandomStyles(drawn, seed, per_picture)
    if per_picture != 1:
        raise UsageError("--styles-per-picture: expected --style random beside it; it draws among styles")
    names = [
        name for text in texts for name in (network.style_names() if text.casefold() == ALL else (text,))
    ]
    if not names:
        raise UsageError(f"style 'all': {network.path} has no styles; name a style file")
    return tuple(dict.fromkeys(names))


def _check(options: StylizeOptions) -> None:
    if options.skip_existing and options.overwrite:
        raise UsageError("--skip-existing, --overwrite: expected one of them, got both")


def _network(options: StylizeOptions) -> NetworkFolder:
    if options.network:
        return NetworkFolder.open(options.network)
    if options.preset == "standard":  # without the time that films take to import
        return shipped_network()
    from stylenorm.films import preset_named

    return preset_named(options.preset).open_network()


def _strengths(options: StylizeOptions) -> StrengthRange:
    given = options.strength
    low, high = given if isinstance(given, tuple) else (given, given)
    return StrengthRange(low, high, options.seed)


def _painter(options: StylizeOptions, network: NetworkFolder) -> BatchPainter:
    film = FilmPart(
        options.start_s, options.end_s, options.preview, options.steady, options.smooth, options.preset
    )
    painting = PaintOptions(
        keep_colors=options.keep_colors,
        stroke_size=options.stroke_size,
        size_px=options.size,
        crop=options.crop,
        quality=options.quality,
        strip=options.strip,
        keep_gps=options.keep_gps,
        overwrite=options.overwrite,
        max_megapixels=options.max_megapixels or MAX_MEGAPIXELS,
        allow_truncated=options.allow_truncated,
        film=film,
    )
    return BatchPainter(
        network,
        painting,
        engine=EngineOptions(options.engine, options.precision, options.threads),
        tiling=Tiling(tile_size(options.tile), options.memory, options.fast),
    )


class _Shown(Listener):
    """Shows on the progress bar what goes on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def show(self, text: str) -> None:
        self._progress.show(text)

    def megapixels(self, name: str, num_pixels: int) -> Callable[[float], None]:
        return Megapixels(self._progress, name, num_pixels)

    def add_steps(self, count: int) -> None:
        self._progress.add_steps(count)

    def step(self) -> None:
        self._progress.step()

    def say(self, text: str) -> None:
        self._progress.print(f"stylenorm: {text}")


class _Said:
    """What is said of a run: failures, notes, and how it went."""

    def __init__(self, options: StylizeOptions, progress: Progress, summary: Summary, num_tasks: int) -> None:
        self._options, self._progress, self._summary, self._count = options, progress, summary, num_tasks
        self._existing: list[Path] = []
        self._noted: set[str] = set()

    def all_of(self, outcomes: Iterable[Outcome]) -> int:
        """Tell every outcome, and how it went; return the exit code.

        Raises:
            KeyboardInterrupt: says how many were done.
        """
        coming = iter(outcomes)
        try:
            for outcome in coming:
                self._tell_outcome(outcome)
        except KeyboardInterrupt:
            getattr(coming, "close", lambda: None)()  # what is being painted is finished, and counted
            several = self._count > 1
            done = self._summary.painted + self._summary.skipped
            raise KeyboardInterrupt(f"{done} of {self._count} are done" if several else "") from None
        self._tell_summary()
        return 1 if self._summary.failed else 0

    def _tell_outcome(self, outcome: Outcome) -> None:
        self._progress.step()
        if outcome.error is not None:
            self._report(outcome.task, outcome.error)
            return
        for note in outcome.notes:
            self.note(note)
        if outcome.status == "painted" and outcome.task.target is not None:
            self._tell(str(outcome.task.target))

    def _report(self, task: Task, error: Exception) -> None:
        reason = one_line(error)
        if isinstance(error, OutputError) and "exists already" in reason:
            if self._count > 1 and task.target is not None:
                self._existing.append(task.target)  # one line for all of them
                return
            reason += " (--overwrite)"
        if "raise the limit if you trust" in reason:
            reason += " (--max-megapixels N)"
        if isinstance(error, PictureError) and "got a truncated one" in reason:
            reason += " (--allow-truncated paints what there is)"
        if isinstance(error, MemoryError):
            reason += "; or let it be painted in smaller parts (--memory 1GB, or --tile 256)"
        name = "standard input" if task.source is None else printable(task.source)
        says_where = isinstance(error, OutputError) or name in reason
        self._progress.print(f"stylenorm: {reason if says_where else f'{name}: {reason}'}")

    def _tell_summary(self) -> None:
        summary, count = self._summary, self._count
        if self._existing:
            shown = ", ".join(str(path) for path in self._existing[:_SHOWN_NAMES])
            more = ", ..." if len(self._existing) > _SHOWN_NAMES else ""
            self._progress.print(
                f"stylenorm: {len(self._existing)} of {count} exist already and were left as they are "
                f"(--overwrite replaces them, --skip-existing takes them as done): {shown}{more}"
            )
        failed = summary.failed - len(self._existing)
        if failed and count > 1:
            self._progress.print(f"stylenorm: {failed} of {count} failed")
        listed = self._options.manifest is not None
        if (listed or summary.skipped) and not self._options.quiet:
            self._progress.print(f"stylenorm: {self._counts()}")
        elif summary.painted > 1:
            self._tell(f"{summary.painted} of {count} painted in {duration_text(summary.seconds)}")

    def _counts(self) -> str:
        summary = self._summary
        text = f"{summary.painted} painted, {summary.skipped} skipped (done before), {summary.failed} failed"
        text += f", in {duration_text(summary.seconds)}"
        if summary.painted > 1:
            text += f" ({summary.painted / summary.seconds:.3g} pictures a second)"
        return text + (f"; {self._options.manifest} lists them" if self._options.manifest else "")

    def note(self, text: str) -> None:
        """Say what a user should know, once, unless asked to be quiet."""
        if not self._options.quiet and text not in self._noted:
            self._noted.add(text)
            self._progress.print(f"stylenorm: note: {text}")

    def _tell(self, text: str) -> None:
        """Say what was done, to who sits before a terminal."""
        if not self._options.quiet and sys.stderr.isatty():
            self._progress.print(f"stylenorm: {text}")
