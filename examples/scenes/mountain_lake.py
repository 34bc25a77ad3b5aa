"""A lake under snow mountains in evening light: a height field, seen column by column."""

from __future__ import annotations

import numpy as np

from .common import Array, fbm, mix, noise, random01, rgb, sample, smoothstep, unit, water
from .conifers import conifer, halved
from .hut import hut
from .patches import Camera, Patch, View

SUN = unit([-0.78, 0.36, -0.42])  # where the sun stands: left, low, behind the camera; x right, y up, z away
SUNLIGHT = np.float32([3.3, 2.25, 1.35])
SKYLIGHT = np.float32([0.22, 0.33, 0.52])
EYE_M = 5.0  # the camera's height above the lake
FOCAL = 0.92  # in picture widths
HORIZON = 0.60  # in picture heights from the top
FAR_M = 14000.0
HUT = (38.0, 98.0)  # x, z of its near left corner
OLD_TREES = (
    (109, 36, 17),
    (114, 49, 23),
    (105, 53, 20),
    (121, 42, 25),
    (98, 57, 16),
    (119, 29, 15),
    (126, 33, 19),
)

# x, z, height and radius in metres of the masses that the mountains are carved from
MASSES = (
    (-900, 7200, 2500, 1900), (1700, 8800, 2350, 1500), (3600, 7000, 1900, 1500), (-4300, 7600, 2300, 1700),
    (-2300, 3600, 950, 1050), (2500, 4200, 1000, 1100), (300, 10500, 2300, 2200), (5600, 9000, 2300, 1700),
)  # fmt: skip


def mountain_grid(cell: float) -> tuple[Array, Array]:
    """Heights of the far land over (z, x), every `cell` metres, and how much sun reaches them."""
    z, x = np.meshgrid(
        np.arange(0, FAR_M + 600, cell, dtype=np.float32),
        np.arange(-8800, 8800, cell, dtype=np.float32),
        indexing="ij",
    )
    wx, wz = x + 420 * fbm(x / 1700, z / 1700, 3, 11), z + 420 * fbm(x / 1700, z / 1700, 3, 21)
    mass = np.zeros_like(x)
    for mx, mz, height, radius in MASSES:
        distance = np.hypot(wx - mx, wz - mz) / radius
        mass = np.maximum(mass, height * np.exp(-1.25 * distance**1.15)) + 0.1 * height * np.exp(
            -(distance**2)
        )
    # Ridges, each octave weaker where the sum so far is steep: that is what water does to rock.
    detail, slope_x, slope_z = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    size, weight = 2100.0, 1.0
    for octave in range(8):
        ridge = 1 - np.abs(noise(wx / size + 5.3 * octave, wz / size, 40 + octave)) * 1.7
        gz, gx = np.gradient(weight * ridge * size / 2100 * 16 / cell)
        slope_x, slope_z = slope_x + gx, slope_z + gz
        detail += weight * ridge / (1 + 1500 * (slope_x**2 + slope_z**2))
        size, weight = size * 0.48, weight * 0.43
        if size < 2 * cell:
            break
    heights = mass * (0.46 + 0.50 * detail) - 60
    # Rock falls where it is steeper than it can stand: nothing may rise above its neighbours by more.
    for _ in range(int(240 / cell)):
        for axis in (0, 1):
            for way in (-1, 1):
                heights = np.minimum(heights, np.roll(heights, way, axis) + np.float32(1.25 * cell))
        for way in (-1, 1):
            for other in (-1, 1):
                heights = np.minimum(
                    heights, np.roll(heights, (way, other), (0, 1)) + np.float32(1.77 * cell)
                )
    # Shadows: a sweep over columns from the sun's side, carrying the height of the shadow's upper edge.
    lit = np.ones_like(heights)
    edge = heights[:, 0].copy()
    rows = np.arange(len(edge), dtype=np.float32)
    drop, shift = cell * SUN[1] / -SUN[0], SUN[2] / SUN[0]  # a column on, the edge has moved this much
    for column in range(1, heights.shape[1]):
        edge = np.interp(rows - shift, rows, edge) - drop
        lit[:, column] = smoothstep(18, -18, edge - heights[:, column])
        edge = np.maximum(edge, heights[:, column])
    return heights, lit


def shore(x: Array, z: Array) -> Array:
    """Height in metres of the near land, negative under the lake: a spit on the right, banks, a far shore."""
    wobble = 9 * fbm(x / 45, z / 45, 3, 61) + 60 * noise(x / 400, z / 400, 62) * smoothstep(150, 900, z)
    spit = 26 - np.hypot((x - 62) / 1.45, (z - 104) / 0.62) + 0.6 * wobble
    cape = 24 - np.hypot((x + 98) / 1.7, (z - 150) / 0.7) + 0.6 * wobble
    left = -x - 0.34 * z - 90 + wobble + 120 * smoothstep(300, 1100, z)
    right = x - 0.30 * z - 70 + wobble + 60 * smoothstep(300, 1100, z)
    far = z - 1750 + 2.5 * wobble + 0.18 * np.abs(x)
    inland = np.maximum.reduce([spit, cape, left, right, far])
    return np.where(
        inland > 0,
        9 * (1 - np.exp(-np.maximum(inland, 0) / 55)) + 0.035 * np.maximum(inland - 40, 0),
        inland * 0.2,
    )


class Land:
    """The land sampled along every column's ray, ready to be seen from above or below the water."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width, self.focal = height, width, FOCAL * width
        steps = int(np.clip(width * 0.8, 250, 1500))
        self.cell = float(np.clip(16 * 1440 / width, 16, 64))
        s = np.linspace(0, 1, steps)
        self.z = (0.5 * 40 * (FAR_M / 40) ** s + 0.5 * (40 + (FAR_M - 40) * s**1.7)).astype(np.float32)
        self.u = ((np.arange(width) + 0.5 - width / 2) / self.focal).astype(np.float32)
        self.grid, self.lit = mountain_grid(self.cell)
        z, u = self.z[:, None], self.u[None]
        x = z * u
        self.heights = self.at(x, np.broadcast_to(z, x.shape))
        rough = np.minimum(np.maximum(self.heights, 0) / 250, 1)
        self.heights += rough * 10 * fbm(x / 90, z / 90, 3, 71) * np.minimum(z / 2500, 1)
        slope_u = np.gradient(self.heights, axis=1) / (u[0, 1] - u[0, 0])
        slope_ray = np.gradient(self.heights, axis=0) / np.gradient(self.z)[:, None]
        self.slope_x = slope_u / z
        self.slope_z = slope_ray - u * self.slope_x

    def at(self, x: Array, z: Array) -> Array:
        """Height of the ground anywhere."""
        near = shore(x, z)
        far = sample(self.grid, z / self.cell, (x + 8800) / self.cell)
        return np.where(near > 0, near + np.maximum(far, 0) * smoothstep(0, 14, near), near)

    def see(self, eye: float) -> tuple[Array, Array]:
        """What each pixel sees from this height: (light, distance in metres, inf for sky and water)."""
        horizon = HORIZON * self.height
        tops = horizon - self.focal * (self.heights - eye) / self.z[:, None]  # the row of each sample
        tops[self.heights <= 0] = self.height * 2  # under water: never seen
        rows = np.arange(self.height) + 0.5
        index = np.full((self.height, self.width), np.nan, np.float32)
        # From under water a ray may pass below the near banks and meet the far shore: a second look, which
        # also fills in what waves see a little below that shore.
        for start in (0, int(np.searchsorted(self.z, 500))) if eye < 0 else (0,):
            run = -np.minimum.accumulate(tops[start:], axis=0)  # rising
            for column in range(self.width):
                hit = np.searchsorted(run[:, column], -rows)
                low, high = np.maximum(hit - 1, 0), np.minimum(hit, len(run) - 1)
                a, b = run[low, column], run[high, column]
                at = start + low + np.clip((-rows - a) / np.maximum(b - a, 1e-6), 0, 1)
                # Land ends at the waterline: rays that come up from the water begin there, others end.
                surfaced = rows < horizon + self.focal * eye / self.z[start + high] + 1
                land = (hit < len(run)) & (surfaced | (start > 0)) & np.isnan(index[:, column])
                index[land, column] = at[land]
        sky = np.isnan(index)
        index[sky] = 0
        seen = np.where(sky, np.inf, np.interp(index, np.arange(len(self.z)), self.z)).astype(np.float32)
        light = self.sky()
        r, c = np.nonzero(~sky)
        light[r, c] = self.shade(index[r, c], c)
        return light, seen

    def sky(self) -> Array:
        """A clear evening with clouds lit from the left."""
        row, column = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        up = np.abs(HORIZON * self.height - row) / self.focal  # below the horizon, its mirror: never seen
        side = (column - self.width / 2) / self.focal
        light = mix([0.80, 0.74, 0.66], [0.13, 0.29, 0.62], smoothstep(-0.12, 0.62, up) ** 0.75)
        light = mix(light, [1.05, 0.78, 0.52], 0.55 * np.exp(-up * 7) * smoothstep(0.6, -0.7, side))
        # Clouds lie on a plane, so that they shrink towards the horizon.
        px, pz = side / (up + 0.16), 1 / (up + 0.16)
        px, pz = px + 0.25 * fbm(px * 1.3, pz * 1.3, 3, 81), pz + 0.25 * fbm(px * 1.3, pz * 1.3, 3, 84)

        def density(dx: float, dz: float) -> Array:
            return fbm((px + dx) * 0.85 + 3.7, (pz + dz) * 1.15, 6, 90, 0.52)

        here, sunward = density(0, 0), density(-0.10, -0.05)
        cover = smoothstep(0.02, 0.42, here) * smoothstep(0.02, 0.12, up) * 0.93
        bright = np.clip(0.55 + 2.1 * (here - sunward) - 0.35 * (here - 0.3), 0, 1.2)
        cloud = mix([0.34, 0.37, 0.46], [1.50, 1.22, 0.98], bright)
        return mix(light, cloud, cover)

    def shade(self, index: Array, column: Array) -> Array:
        """Light from the ground at fractional steps of these columns."""
        low = np.minimum(index.astype(np.int32), len(self.z) - 2)
        t = (index - low).astype(np.float32)
        sx, sz, h, z = (
            a[low] + (a[low + 1] - a[low]) * t
            if a.ndim == 1
            else a[low, column] + (a[low + 1, column] - a[low, column]) * t
            for a in (self.slope_x, self.slope_z, self.heights, self.z)
        )
        x = z * self.u[column]
        normal = unit(np.stack([-sx, np.ones_like(sx), -sz], -1))
        grain, patch = fbm(x / 9, (z + 2 * h) / 9, 3, 101), fbm(x / 140, (z + h) / 140, 4, 111)
        fine = np.minimum(1, 2500 / z)
        grain = grain * fine
        rock = mix(rgb(92, 86, 82), rgb(138, 126, 116), 0.5 + 0.5 * noise(h / 45 + 2 * patch, x / 700, 121))
        rock = rock * (1 + 0.35 * grain + 0.25 * patch)[:, None]
        meadow = mix(rgb(72, 84, 38), rgb(128, 122, 62), 0.5 + 0.6 * patch) * (1 + 0.5 * grain)[:, None]
        forest = mix(rgb(24, 38, 24), rgb(44, 58, 32), 0.5 + 0.9 * noise(x / 13, (z + 3 * h) / 13, 131))
        ground = mix(rock, meadow, smoothstep(0.72, 0.86, normal[:, 1] + 0.06 * patch))
        wooded = (
            smoothstep(760, 520, h + 160 * patch)
            * smoothstep(0.5, 0.66, normal[:, 1])
            * smoothstep(140, 260, z)
        )
        ground = mix(ground, forest, wooded)
        beach = smoothstep(1.1, 0.25, h + 0.35 * grain) * smoothstep(900, 300, z)
        ground = mix(ground, rgb(136, 124, 104) * (0.9 + 0.4 * grain)[:, None], beach)
        snow = smoothstep(720, 980, h + 260 * patch + 60 * grain) * smoothstep(
            0.57, 0.71, normal[:, 1] + 0.08 * grain + 0.09 * patch + 0.07 * smoothstep(1300, 2000, h)
        )
        ground = mix(ground, rgb(238, 242, 248), snow)
        lit = sample(self.lit, z / self.cell, (x + 8800) / self.cell)
        direct = np.maximum(normal @ SUN, 0) * lit
        sky = (0.5 + 0.5 * normal[:, 1]) * (0.75 + 0.25 * lit)
        light = ground * (direct[:, None] * SUNLIGHT + sky[:, None] * SKYLIGHT)
        return haze(light, z, x / z, h)


def haze(light: Array, z: Array, side: Array, height: Array) -> Array:
    """Air between the eye and what it sees: bluer with distance, warmer towards the sun, thicker low down."""
    depth = z / 24000 + smoothstep(700, 2600, z) * 0.22 * np.exp(-np.maximum(height, 0) / 170)
    air = mix([0.42, 0.54, 0.72], [0.86, 0.68, 0.52], smoothstep(0.35, -0.75, side) * 0.7)
    return mix(light, air, 1 - np.exp(-depth))


def forest(land: Land) -> list[tuple[float, float, float, float, int]]:
    """Where trees stand, far to near: (z, x, ground, height in m, kind)."""
    rng = np.random.default_rng(5)
    count = 28000
    z = 75 * (3600 / 75) ** rng.uniform(0, 1, count) ** 0.72
    x = z * rng.uniform(-0.6, 0.6, count)
    near = rng.uniform(0, 1, (2, 900))  # more of them on the spit and the cape, which are close
    x[:900] = np.where(near[0] < 0.5, 20 + 160 * near[0], -130 + 150 * (near[0] - 0.5))
    z[:900] = 84 + 95 * near[1]
    x, z = x.astype(np.float32), z.astype(np.float32)
    ground = land.at(x, z)
    clump = noise(x / 60, z / 60, 141) + 0.6 * noise(x / 300, z / 300, 142)
    good = (ground > 0.7) & (ground < 620) & (clump > -0.35 - 0.3 * smoothstep(200, 1500, z))
    clearing = (np.abs(x - HUT[0] - 3.5) < 8) & (z < HUT[1] + 9)
    good &= ~clearing
    tall = rng.uniform(9, 22, count) * (1 - 0.45 * smoothstep(200, 620, ground))
    tall *= np.where(rng.uniform(0, 1, count) < 0.2, 0.5, 1)
    kind = rng.integers(0, 10, count)
    picked = np.nonzero(good)[0]
    trees = [(float(z[i]), float(x[i]), float(ground[i]), float(tall[i]), int(kind[i])) for i in picked]
    for k, (far, side, size) in enumerate(OLD_TREES):  # around the hut
        trees.append((far, side, float(land.at(np.float32(side), np.float32(far))), size, k))
    return sorted(trees, reverse=True)


def plant(light: Array, seen: Array, land: Land, eye: float, trees: list, sprites: list[list[Array]]) -> None:
    """Draw the trees into the view, each behind whatever ground is nearer."""
    height, width = seen.shape
    for z, x, ground, tall, kind in trees:
        pixels = land.focal * tall / z
        if pixels < 1.5:
            continue
        levels = sprites[kind]
        level = min(max(int(np.floor(np.log2(levels[0].shape[0] / pixels))), 0), len(levels) - 1)
        sprite = levels[level]
        scale = sprite.shape[0] / pixels
        foot = HORIZON * height - land.focal * (ground - 0.3 - eye) / z
        middle = width / 2 + land.focal * x / z
        r0, r1 = max(int(foot - pixels), 0), min(int(np.ceil(foot)), height)
        c0, c1 = max(int(middle - pixels / 4), 0), min(int(np.ceil(middle + pixels / 4)), width)
        if r0 >= r1 or c0 >= c1:
            continue
        rows = (np.arange(r0, r1) + 0.5 - (foot - pixels)) * scale - 0.5
        cols = (np.arange(c0, c1) + 0.5 - (middle - pixels / 4)) * scale - 0.5
        inside = (cols > -0.5) & (cols < sprite.shape[1] - 0.5)
        patch = sample(sprite, rows[:, None], cols[None])
        cover = patch[..., 3] * inside * (seen[r0:r1, c0:c1] > 0.97 * z)
        tone = 0.8 + 0.4 * float(random01(x * 10, z * 10, 7))
        sun = float(sample(land.lit, z / land.cell, (x + 8800) / land.cell))
        colour = patch[..., :3] * tone * (0.42 + 0.58 * sun) / np.maximum(patch[..., 3:], 1e-3)
        colour = haze(colour, np.float32(z), np.float32(x / z), np.float32(ground))
        view = light[r0:r1, c0:c1]
        view += (colour - view) * cover[..., None]


def build(light: Array, view: View, patches: list[Patch]) -> None:
    """Draw patches into a view whose depth buffer already holds the land."""
    for number, patch in enumerate(patches):
        view.draw(number, patch)
    for number in np.unique(view.which[view.which >= 0]):
        patch = patches[number]
        r, c = np.nonzero(view.which == number)
        row, column = r.astype(np.float32), c.astype(np.float32)
        t, u, v = view.cast(patch, row, column)
        albedo, glow = patch.surface(u, v)
        _, ray = view.rays(row, column)
        normal = np.where((ray @ patch.normal)[:, None] > 0, -patch.normal, patch.normal)
        direct = np.maximum(normal @ SUN, 0)[:, None] * SUNLIGHT
        colour = albedo * (direct + SKYLIGHT * (0.75 + 0.25 * normal[:, 1:2])) + glow
        light[r, c] = haze(colour, t, ray[:, 0], np.zeros_like(t))


def draw(height: int, width: int) -> Array:
    """The scene in linear light at this many (supersampled) pixels."""
    land = Land(height, width)
    sprites = [halved(conifer(200 + k, SUN, SUNLIGHT, SKYLIGHT)) for k in range(10)]
    trees = forest(land)
    camera = Camera(np.float32([0, EYE_M, 0]), np.float32([0, 0, 1]), FOCAL, HORIZON)
    x, z = HUT
    timber = hut(camera, x, z, float(land.at(np.float32(x + 3.5), np.float32(z))))
    rows = np.arange(height, dtype=np.float32)[:, None] + 0.5 - HORIZON * height
    with np.errstate(divide="ignore"):
        surface = np.where(rows > 0, EYE_M * land.focal / rows, np.inf)  # how far the water is in each row
    deep = (rgb(18, 52, 60) * 0.8, rgb(34, 74, 74) * 0.8)
    mirror = light = np.zeros((height, width, 3), np.float32)
    for taken in (camera.mirrored(), camera):  # first what the lake will show
        eye = float(taken.eye[1])
        light, seen = land.see(eye)
        if eye > 0:
            open_water = seen > surface
            water(light, open_water, mirror, EYE_M, land.focal, HORIZON * height, deep, (0.010, 0.034))
            seen = np.minimum(seen, surface)
        plant(light, seen, land, eye, [tree for tree in trees if tree[0] >= z], sprites)
        view = View(height, width, taken)
        view.depth = seen
        build(light, view, timber)
        plant(light, seen, land, eye, [tree for tree in trees if tree[0] < z], sprites)
        mirror = light
    return light
