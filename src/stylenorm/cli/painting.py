"""One run of ``stylenorm stylize``: the plan, the painter, and what they make."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
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
    PictureRecipe,
    RandomStyles,
    Shard,
    ShardFile,
    StrengthRange,
    Summary,
    Task,
    check_manifest,
    is_far,
    paint_shards,
    parse_random_styles,
    plan_far,
    plan_shards,
    plan_tasks,
    watch,
)
from stylenorm.cli.big import tile_size
from stylenorm.cli.progress import Progress
from stylenorm.cli.telling import Shown, Told
from stylenorm.cli.usage import UsageError, as_usage
from stylenorm.errors import PictureError
from stylenorm.media import MAX_MEGAPIXELS, SHARD_SUFFIXES, STANDARD, LeftOut, SameStyles, StyleDraw
from stylenorm.models import predict_style
from stylenorm.tiles import Tiling
from stylenorm.timing import collected
from stylenorm.zoo import ALL, NetworkFolder, parse_style, shipped_network

if TYPE_CHECKING:
    from stylenorm.cli.stylize import StylizeOptions

__all__ = ["stylize"]


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
        timing = stack.enter_context(collected()) if options.timing and not options.quiet else None
        with as_usage():
            _check(options)
            network = _network(options)
            styles = styles_of(options.style, network, options.seed, options.styles_per_picture)
            batch = _Batch(options, styles, left_out)
            painter = None if options.cluster else stack.enter_context(_painter(options, network))
            for name in styles.names if isinstance(styles, SameStyles) else ():  # an unknown one is said now
                if painter is not None:
                    painter.style(name)
                else:
                    parse_style(name, network, predict_style)
            manifest = stack.enter_context(Manifest(options.manifest)) if options.manifest else None
            if manifest is not None:
                check_manifest(batch.tasks, manifest)
            progress = stack.enter_context(Progress(batch.count, "picture", enabled=not options.quiet))
            if options.cluster and batch.shards:
                first = batch.shards[0].source
                raise UsageError(f"--cluster: expected pictures, got {first}; --shard shares such files out")
        told = Told(options, progress, batch.count, timing)
        for problem in left_out.problems():
            progress.print(f"stylenorm: {problem}")
        if left_out.skipped():
            told.note(left_out.skipped())
        if painter is None:
            outcomes = batch.on_cluster(network, manifest, told.summary)
        else:
            outcomes = batch.outcomes(painter, manifest, Shown(progress), told.summary)
        return max(told.all_of(outcomes), 1 if left_out.problems() else 0)


class _Batch:
    """What is painted: pictures, files of pictures, or whatever comes into a folder."""

    def __init__(self, options: StylizeOptions, styles: StyleDraw, left_out: LeftOut) -> None:
        self._options, self._styles = options, styles
        given = options.strength
        low, high = given if isinstance(given, tuple) else (given, given)
        self._strengths = StrengthRange(low, high, options.seed)
        self._part = Shard.parse(options.shard) if options.shard else None
        self.tasks: Sequence[Task] = []
        self.shards: Sequence[ShardFile] = []
        if any(is_far(each) for each in (*options.inputs, options.output or "")):
            self.tasks = plan_far(
                options.inputs,
                options.output,
                styles=styles,
                strengths=self._strengths,
                format=options.format,
                shard=self._part,
            )
            return
        if not options.watch:
            self.tasks = self._planned(left_out)
        if left_out.shards or any(Path(each).suffix.lower() in SHARD_SUFFIXES for each in options.inputs):
            self.shards = plan_shards(options.inputs, left_out.shards, options.output, shard=self._part)
        if any(task.target is None for task in self.tasks) and sys.stdout.isatty():
            raise UsageError(
                "standard output is a terminal: write to a file (-o painting.png) or into a pipe"
            )

    @property
    def count(self) -> int:
        """How many pictures are known, and files of them."""
        return len(self.tasks) + len(self.shards)

    def outcomes(
        self, painter: BatchPainter, manifest: Manifest | None, listener: Listener, summary: Summary
    ) -> Iterator[Outcome]:
        """Paint on this machine."""
        options = self._options
        # small pictures of a folder go side by side, however few there are: so they come out the same
        is_batch = self._part is not None or any(
            is_far(given) or Path(given).is_dir() for given in options.inputs
        )
        run = partial(
            BatchRun,
            painter=painter,
            listener=listener,
            manifest=manifest,
            skip_existing=options.skip_existing or options.watch,
            lanes=painter.threads if is_batch else None,
            summary=summary,
        )
        if self.tasks:
            yield from run(self.tasks)
        if self.shards:
            yield from paint_shards(
                self.shards,
                painter,
                PictureRecipe(self._styles, self._strengths, options.format or "", options.column),
                summary=summary,
                manifest=manifest,
                skip_existing=options.skip_existing,
                lanes=painter.threads,
            )
        if options.watch:
            for tasks in watch(self._planned):
                yield from run(tasks)

    def on_cluster(
        self, network: NetworkFolder, manifest: Manifest | None, summary: Summary
    ) -> Iterator[Outcome]:
        """Paint by Ray."""
        from stylenorm.batches.cluster import PainterPlan, paint_on_cluster

        options = self._options
        folder = network.path.resolve() if options.network or options.preset != "standard" else None
        plan = PainterPlan(folder, _painting_options(options), _engine_options(options), _tiling(options))
        return paint_on_cluster(
            self.tasks,
            plan,
            str(options.cluster),
            workers=options.workers,
            manifest=manifest,
            skip_existing=options.skip_existing,
            summary=summary,
        )

    def _planned(self, left_out: LeftOut | None = None) -> list[Task]:
        """All pictures as they are now."""
        options = self._options
        inputs = [given for given in options.inputs if Path(given).suffix.lower() not in SHARD_SUFFIXES]
        if not inputs:
            return []
        aside = LeftOut() if left_out is None else left_out
        try:
            return plan_tasks(
                inputs,
                options.output,
                styles=self._styles,
                strengths=self._strengths,
                format=options.format,
                shard=self._part,
                left_out=aside,
            )
        except PictureError:
            if options.watch and aside.empty and not aside.unreadable:
                return []  # something will come
            raise


def styles_of(texts: Iterable[str], network: NetworkFolder, seed: int, per_picture: int) -> StyleDraw:
    """Return what gives each picture its styles: those that ``--style`` names, once each, or by chance.

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
    return SameStyles(tuple(dict.fromkeys(names)))


def _check(options: StylizeOptions) -> None:
    if options.skip_existing and options.overwrite:
        raise UsageError("--skip-existing, --overwrite: expected one of them, got both")
    if options.watch:
        for option in ("cluster", "overwrite"):
            if getattr(options, option):
                raise UsageError(f"--watch, --{option}: expected one of them, got both")
        for given in options.inputs:
            if is_far(given) or not Path(given).is_dir():
                raise UsageError(f"--watch: expected folders on this machine, got {given}")
    if options.cluster:
        for given in options.inputs:
            if given == STANDARD:
                raise UsageError("--cluster: expected pictures and folders of them, got standard input")
    elif options.workers:
        raise UsageError("--workers: expected --cluster beside it; --threads says how many cores are used")


def _network(options: StylizeOptions) -> NetworkFolder:
    if options.network:
        return NetworkFolder.open(options.network)
    if options.preset == "standard":  # without the time that films take to import
        return shipped_network()
    from stylenorm.films import preset_named

    return preset_named(options.preset).open_network()


def _painting_options(options: StylizeOptions) -> PaintOptions:
    return PaintOptions(
        keep_colors=options.keep_colors,
        stroke_size=options.stroke_size,
        noise=options.noise,
        size_px=options.size,
        crop=options.crop,
        quality=options.quality,
        strip=options.strip,
        keep_gps=options.keep_gps,
        overwrite=options.overwrite,
        max_megapixels=options.max_megapixels or MAX_MEGAPIXELS,
        allow_truncated=options.allow_truncated,
        film=FilmPart(
            options.start_s, options.end_s, options.preview, options.steady, options.smooth, options.preset
        ),
    )


def _engine_options(options: StylizeOptions) -> EngineOptions:
    return EngineOptions(options.engine, options.precision, options.threads)


def _tiling(options: StylizeOptions) -> Tiling:
    return Tiling(tile_size(options.tile), options.memory, options.fast)


def _painter(options: StylizeOptions, network: NetworkFolder) -> BatchPainter:
    engine = _engine_options(options)
    return BatchPainter(network, _painting_options(options), engine=engine, tiling=_tiling(options))
