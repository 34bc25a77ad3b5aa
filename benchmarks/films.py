"""How steady are painted films, at what loss of style, and how fast?

    python benchmarks/films.py --photos DIR --paintings DIR --film FILE

Camera moves with known motion (pan, zoom, turn, a bright object that enters, light that changes) over still
photos, by sub-pixel cubic warps, with sensor noise of 2 grey levels. Each way to keep them steady paints all
of them. Warp error (Ruder et al., GCPR 2016; Lai et al., ECCV 2018): the mean square difference of a frame
and the next one warped back along the known motion, where both see the scene: not outside the picture, not
where the object is in either. Beside it stands the film's own warp error (noise and interpolation), and the
style loss, geometric mean over VGG-16's layers, relative to frame by frame: a blur is steady
too. On the real clip, whose motion nobody knows, motion is estimated on the film itself (dense inverse
search, medium preset) and masked by a check of both directions. Static flicker: a still photo with fresh
noise in each frame; standard deviation over time of the painting, in grey levels. Rates: the whole way from
file to file, of each preset's network, in rounds of all variants, at 1280 x 720.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from measured import add_network_argument, network_folder, summary, write_result
from stylenorm import Stylizer
from stylenorm.films import (
    PRESETS,
    FilmOptions,
    Painter,
    RunningPainter,
    ShotPainter,
    SteadyOptions,
    measure_shots,
    paint_film,
)
from stylenorm.films.steadiness import thumbnail_of
from stylenorm.media import FilmFrame, FilmReader, WritingOptions
from stylenorm.perceptual import gram_matrix, load_vgg, style_loss
from stylenorm.training import read_painting
from stylenorm.zoo import NetworkFolder

HEIGHT, WIDTH = 288, 512
EDGE_PX = 8
_RATE, _RATE_FRAMES = 24, 48
Frames = list[np.ndarray]
# name: (steady, smooth)
WAYS = {
    "frame by frame": ("off", 0.0),
    "shot": ("shot", 0.0),
    "running": ("running", 0.0),
    "off + smooth 0.6": ("off", 0.6),
    "shot + smooth 0.5": ("shot", 0.5),
    "shot + smooth 0.6": ("shot", 0.6),
    "shot + smooth 0.7": ("shot", 0.7),
    "running + smooth 0.6": ("running", 0.6),
}


def main() -> None:
    """Measure and write results/films.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("photos", "paintings"):
        parser.add_argument(f"--{name}", type=Path, help="for all parts but rates")
    parser.add_argument("--film", type=Path, help="a real clip")
    parser.add_argument("--num-photos", type=int, default=4)
    parser.add_argument("--num-frames", type=int, default=16)
    parser.add_argument("--styles", nargs="*", help="default: all of the network's")
    parser.add_argument("--parts", nargs="*", default=["moves", "clip", "still", "rates"])
    parser.add_argument(
        "--ways", nargs="*", choices=list(WAYS), help="default: all; the first is always measured"
    )
    parser.add_argument("--rate-turns", type=int, default=3, help="of all rates")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--result", default="films")
    add_network_argument(parser)
    options = parser.parse_args()
    for way in list(WAYS)[1:]:
        if options.ways and way not in options.ways:
            del WAYS[way]
    torch.set_num_threads(options.threads or 1)
    cv2.setNumThreads(options.threads or 1)
    path, about = network_folder(options.network)
    folder = NetworkFolder.open(path)
    names = options.styles or list(folder.style_names())
    results: dict[str, object] = {"network": about, "identity": folder.identity, "styles": names}
    if set(options.parts) - {"rates"}:
        if not options.photos or not options.paintings:
            parser.error("--photos and --paintings: expected for all parts but rates")
        judge = Judge(options.paintings, folder)
        if "moves" in options.parts:
            results["camera moves"] = over_moves(options, folder, names, judge)
        if "clip" in options.parts and options.film:
            results["real clip"] = over_clip(options, folder, names, judge)
    if "still" in options.parts:
        results["static flicker, grey levels"] = over_still(options, folder, names)
    if "rates" in options.parts:
        results["1280 x 720, frames a second"] = rates(options, folder, names[0])
    write_result(options.result, " ".join(__doc__.split("\n\n", 2)[2].split()), results)


class Judge:
    """Style loss of frames against a style's painting, by VGG-16."""

    def __init__(self, paintings: Path, folder: NetworkFolder) -> None:
        self._network = load_vgg("vgg16")
        self._listed = tomllib.loads((folder.path / "styles.toml").read_text())
        self._paintings = paintings
        self._targets: dict[str, list[torch.Tensor]] = {}

    @torch.no_grad()
    def __call__(self, style: str, frames: Frames) -> float:
        """Return the loss of some of the frames: geometric mean over layers."""
        if style not in self._targets:
            painting = read_painting(self._paintings / self._listed[style]["painting"], 512)
            self._targets[style] = self._grams(painting)
        losses = []
        for frame in frames[len(frames) // 2 :: 3]:  # where blending has settled
            picture = torch.from_numpy(frame.transpose(2, 0, 1)[None].astype(np.float32) / 255)
            pairs = zip(self._grams(picture), self._targets[style], strict=True)
            losses.append([float(style_loss(gram, target)) for gram, target in pairs])
        return float(np.exp(np.log(np.mean(losses, axis=0)).mean()))

    def _grams(self, picture: torch.Tensor) -> list[torch.Tensor]:
        taps = self._network(picture)
        return [gram_matrix(taps[tap]) for tap in self._network.style_taps]


def moves(photo: np.ndarray, count: int, seed: int) -> Iterator[tuple[str, Frames, list[np.ndarray], Frames]]:
    """Films with known motion: name, frames, affine maps from frames to the photo, masks of the object."""
    height, width = photo.shape[:2]
    rng = np.random.default_rng(seed)
    for name in ("slow pan", "pan", "zoom", "turn", "object", "light"):
        frames, maps, objects = [], [], []
        for t in range(count):
            scale, angle, x, y, gain = 1.0, 0.0, width / 2, height / 2, 1.0
            if name == "slow pan":
                x, y = x + 0.25 * (t - count / 2), y + 0.08 * t
            elif name == "pan":
                x, y = x + 1.37 * t - 0.7 * count, y + 0.41 * t
            elif name == "zoom":
                scale = 0.993**t
            elif name == "turn":
                angle, x = 0.006 * t, x + 0.5 * t
            elif name == "object":
                x += 0.6 * t
            else:
                x, gain = x + 0.6 * t, 1 - 0.35 * t / count
            cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
            right, down = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
            affine = np.array(
                [[cos, -sin, x - cos * right + sin * down], [sin, cos, y - sin * right - cos * down]]
            )
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            frame = cv2.warpAffine(photo, affine, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)
            frame = frame * gain
            hidden = np.zeros((HEIGHT, WIDTH), bool)
            if name == "object":
                left = WIDTH - round(WIDTH * 0.45 * t / count)
                hidden[HEIGHT // 8 : -HEIGHT // 8, left:] = True
                frame[hidden] = (250, 250, 240)
            noisy = frame + rng.normal(0, 2, frame.shape)
            frames.append(noisy.clip(0, 255).astype(np.uint8))
            maps.append(affine)
            objects.append(hidden)
        yield name, frames, maps, objects


def known_motion(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W, 2): where a pixel of the first frame is in the second one."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    ones = np.ones_like(x)
    places = np.stack([x, y, ones], axis=-1) @ first.T
    back = np.linalg.inv(np.vstack([second, [0, 0, 1]]))[:2]
    return np.concatenate([places, ones[..., None]], axis=-1) @ back.T


def warp_error(frames: Frames, places: list[np.ndarray], valid: Frames) -> float:
    """Mean square difference of each frame to the next one warped back, of values in 0..1."""
    errors = []
    for now, then, place, mask in zip(frames, frames[1:], places, valid, strict=False):
        x, y = (place[..., i].astype(np.float32) for i in (0, 1))
        back = cv2.remap(then.astype(np.float32), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        errors.append((((now.astype(np.float32) - back) / 255) ** 2)[mask].mean())
    return float(np.mean(errors))


def painted(stylizer: Stylizer, frames: Frames, steady: str, smooth: float) -> Frames:
    """All frames of one shot, painted one way."""
    options = SteadyOptions(steady, smooth)
    if steady == "shot":
        shots = list(measure_shots(((f, thumbnail_of(f)) for f in frames), lambda f: f, stylizer))
        painter: Painter = ShotPainter(stylizer, options, shots)
    elif steady == "running":
        painter = RunningPainter(stylizer, options, every=4)
    else:
        painter = Painter(stylizer, options)
    return [painter(frame) for frame in frames]


class Table:
    """Warp error and style loss of each way, scene by scene."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, list[tuple[float, float]]]] = {}
        self._own: dict[str, list[float]] = {}

    def add(self, scene: str, way: str, error: float, loss: float, own: float) -> None:
        """Add one painted film."""
        self._rows.setdefault(scene, {}).setdefault(way, []).append((error, loss))
        if way == next(iter(WAYS)):
            self._own.setdefault(scene, []).append(own)

    def result(self) -> dict[str, object]:
        """Of each scene and of all together; ratios are geometric means over films, round by round."""
        scenes = {**self._rows, "all": {w: [p for r in self._rows.values() for p in r[w]] for w in WAYS}}
        return {
            scene: {
                "the film's own warp error": summary(
                    self._own.get(scene) or list(itertools.chain(*self._own.values())), 6
                ),
                "ways": {way: self._compared(rows, way) for way in WAYS},
            }
            for scene, rows in scenes.items()
        }

    def _compared(self, rows: dict[str, list[tuple[float, float]]], way: str) -> dict[str, object]:
        each, base = np.array(rows[way]), np.array(rows[next(iter(WAYS))])
        ratios, losses = base[:, 0] / each[:, 0], each[:, 1] / base[:, 1]
        return {
            "warp error": summary(each[:, 0].tolist(), 6),
            "times less than frame by frame": round(float(np.exp(np.log(ratios).mean())), 2),
            "style loss, relative": round(float(np.exp(np.log(losses).mean())), 4),
        }


def over_moves(
    options: argparse.Namespace, folder: NetworkFolder, names: list[str], judge: Judge
) -> dict[str, object]:
    """Every style on every move over every photo."""
    table = Table()
    files = sorted(options.photos.rglob("*.jpg"))
    files = files[:: max(len(files) // options.num_photos, 1)][: options.num_photos]
    base = Stylizer(names[0], network=folder, threads=options.threads)
    for seed, file in enumerate(files):
        photo = np.asarray(Image.open(file).convert("RGB"))
        scale = 1.35 * max(HEIGHT / photo.shape[0], WIDTH / photo.shape[1])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=method)
        for scene, frames, maps, objects in moves(photo, options.num_frames, seed):
            places = [known_motion(a, b) for a, b in itertools.pairwise(maps)]
            valid = [
                inside(p) & ~seen_at(hidden, p) & ~first
                for p, first, hidden in zip(places, objects, objects[1:], strict=False)
            ]
            own = warp_error(frames, places, valid)
            for name in names:
                stylizer = base.with_style(name)
                for way, (steady, smooth) in WAYS.items():
                    film = painted(stylizer, frames, steady, smooth)
                    table.add(scene, way, warp_error(film, places, valid), judge(name, film), own)
        print(f"{seed + 1} of {len(files)} photos", flush=True)
    return {
        "photos": len(files),
        "frames": options.num_frames,
        "size": f"{WIDTH} x {HEIGHT}",
        **table.result(),
    }


def inside(place: np.ndarray) -> np.ndarray:
    """Pixels that stay inside, by a margin."""
    x, y = place[..., 0], place[..., 1]
    height, width = x.shape
    return (x >= EDGE_PX) & (y >= EDGE_PX) & (x < width - EDGE_PX) & (y < height - EDGE_PX)


def seen_at(mask: np.ndarray, place: np.ndarray) -> np.ndarray:
    """A mask of the next frame, brought to this one."""
    x, y = (place[..., i].astype(np.float32) for i in (0, 1))
    return cv2.remap(mask.astype(np.uint8) * 255, x, y, cv2.INTER_LINEAR) > 0


def over_clip(
    options: argparse.Namespace, folder: NetworkFolder, names: list[str], judge: Judge
) -> dict[str, object]:
    """The first seconds of a real clip."""
    with FilmReader(options.film, end_s=options.num_frames / 12, max_side_px=WIDTH) as reader:
        frames = [item.pixels for item in reader.items(packets=False) if isinstance(item, FilmFrame)]
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    y, x = np.mgrid[: grey[0].shape[0], : grey[0].shape[1]].astype(np.float32)
    places, valid = [], []
    for now, then in itertools.pairwise(grey):
        forth, back = search.calc(now, then, None), search.calc(then, now, None)
        place = np.stack([x + forth[..., 0], y + forth[..., 1]], axis=-1)
        returned = cv2.remap(back, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        # Sundaram, Brox, Keutzer, ECCV 2010, as Ruder et al. use it
        apart = ((forth + returned) ** 2).sum(-1)
        fits = apart < 0.01 * ((forth**2).sum(-1) + (returned**2).sum(-1)) + 0.5
        places.append(place)
        valid.append(fits & inside(place))
    own, table = warp_error(frames, places, valid), Table()
    base = Stylizer(names[0], network=folder, threads=options.threads)
    for name in names:
        for way, (steady, smooth) in WAYS.items():
            film = painted(base.with_style(name), frames, steady, smooth)
            table.add("clip", way, warp_error(film, places, valid), judge(name, film), own)
    return {"frames": len(frames), **table.result()["clip"]}  # type: ignore[dict-item]


def over_still(options: argparse.Namespace, folder: NetworkFolder, names: list[str]) -> dict[str, float]:
    """A still photo with fresh noise in each frame."""
    file = sorted(options.photos.rglob("*.jpg"))[0]
    photo = cv2.resize(np.asarray(Image.open(file).convert("RGB")), (WIDTH, HEIGHT)).astype(float)
    rng = np.random.default_rng(0)
    frames = [(photo + rng.normal(0, 2, photo.shape)).clip(0, 255).astype(np.uint8) for _ in range(12)]
    base = Stylizer(names[0], network=folder, threads=options.threads)
    found = {"the film itself": round(float(np.std(frames, axis=0).mean()), 3)}
    for way, (steady, smooth) in WAYS.items():
        each = [np.std(painted(base.with_style(n), frames, steady, smooth)[4:], axis=0).mean() for n in names]
        found[way] = round(float(np.mean(each)), 3)
    return found


def rates(options: argparse.Namespace, folder: NetworkFolder, style: str) -> dict[str, object]:
    """Frames a second from file to file, and of the parts; 1280 x 720, float32 or what ``auto`` takes.

    Beside each its processor time a frame, over all threads, which other work on the machine changes less.
    The standard network paints a quarter of the film.
    """
    work = Path(tempfile.mkdtemp(prefix="stylenorm-films-"))
    source = work / "source.mp4"
    rng = np.random.default_rng(0)
    photo = cv2.resize(
        rng.integers(0, 256, (90, 160, 3), dtype=np.uint8), (1400, 800), interpolation=cv2.INTER_CUBIC
    )
    film = [np.ascontiguousarray(photo[i : i + 720, 2 * i : 2 * i + 1280]) for i in range(_RATE_FRAMES)]
    write_film(source, film)
    ways: dict[str, tuple[int, Callable[[], object]]] = {}
    for name, preset in PRESETS.items():
        network = preset.open_network() if preset.network else folder
        stylizer = Stylizer(style, network=network, threads=options.threads)
        frozen = stylizer.freeze(stylizer.measure(film[:2]))
        part = film if preset.fast else film[: _RATE_FRAMES // 4]
        for way, painter in (("", stylizer), (", frozen", frozen)):
            ways[f"{name}: painting alone{way}"] = (
                len(part),
                lambda painter=painter, part=part: [painter(frame) for frame in part],
            )
        for steady, smooth in (("shot", 0.6), ("shot", 0.0), ("running", 0.0)):
            film_options = FilmOptions(
                end_s=len(part) / _RATE,
                max_side_px=preset.max_side_px,
                steady=SteadyOptions(steady, smooth),
                writing=WritingOptions(speed=preset.speed),
                overwrite=True,
            )
            ways[f"{name}: file to file, {steady}, smooth {smooth:g}"] = (
                len(part),
                lambda s=stylizer, o=film_options: paint_film(source, work / "out.mp4", s, o),
            )
    found: dict[str, list[float]] = {name: [] for name in ways}
    processor_ms: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rate_turns):
        for name, (count, run) in ways.items():
            started, processor = time.perf_counter(), time.process_time()
            run()
            found[name].append(count / (time.perf_counter() - started))
            processor_ms[name].append(1000 * (time.process_time() - processor) / count)
    for file in work.iterdir():
        file.unlink()
    work.rmdir()
    return {
        "precision": stylizer.engine.precision,
        "threads": stylizer.engine.threads,
        "cores": len(os.sched_getaffinity(0)),
        **{name: summary(values, 2) for name, values in found.items()},
        "processor time a frame, ms": {name: summary(values, 1) for name, values in processor_ms.items()},
    }


def write_film(path: Path, frames: Frames) -> None:
    """Encode frames by PyAV."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=_RATE, options={"crf": "18"})
        stream.height, stream.width = frames[0].shape[:2]
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))


if __name__ == "__main__":
    main()
