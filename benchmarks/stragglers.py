"""A billion pictures, simulated: what slow and lost workers cost, by how the work is given out.

    python benchmarks/stragglers.py --workers 1000 --pictures 1e9 --rate 0.025

Three ways: `--shard I/N` with as many shards as workers; with many shards for each worker, taken one by one
from a list (as a Slurm array does); and batches taken one by one (as Ray does). Speeds differ from worker to
worker; some workers are much slower; workers are lost at random, and come back after a while. A shard that
was lost goes on where it was, at the cost of the pictures that were being painted and of a look at what is
there; a batch that was lost is begun again. The names of a billion pictures are not kept: a shard is a
number.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass

import numpy as np

from measured import write_result

HOUR_S = 3600.0


@dataclass(frozen=True)
class Fleet:
    """What the workers are like.

    Attributes:
        workers: how many.
        seconds: of one picture, on a usual worker.
        spread: standard deviation of the logarithm of speeds.
        slow_share, slow_factor: how many are much slower, and how much.
        lost_every_h: how long a worker lasts, on average; exponential.
        back_s: until a lost one is there again.
        list_s: to look at what a shard has done already, for each picture.
    """

    workers: int
    seconds: float
    spread: float = 0.1
    slow_share: float = 0.02
    slow_factor: float = 4.0
    lost_every_h: float = 48.0
    back_s: float = 300.0
    list_s: float = 2e-5

    def pace(self, rng: np.random.Generator) -> np.ndarray:
        """Seconds of a picture, of each worker."""
        pace = self.seconds * np.exp(self.spread * rng.standard_normal(self.workers))
        slow = rng.random(self.workers) < self.slow_share
        return np.where(slow, pace * self.slow_factor, pace)


def finished(
    fleet: Fleet, pictures: float, portions: int, *, resumes: bool, rng: np.random.Generator
) -> dict[str, float]:
    """Give portions to whoever is free first, until all are done.

    Args:
        fleet: who works.
        pictures: how many there are.
        portions: into how many equal parts they are given out.
        resumes: whether a part that was lost goes on where it was, or begins again.
        rng: chance.

    Returns:
        Hours until all is done; what that is over the ideal; losses; pictures painted twice.
    """
    pace = fleet.pace(rng)
    size = pictures / portions
    lasts = fleet.lost_every_h * HOUR_S
    free = [(0.0, i) for i in range(fleet.workers)]
    heapq.heapify(free)
    lost_at = rng.exponential(lasts, fleet.workers)
    end = losses = again = 0.0
    for _ in range(portions):
        start, i = heapq.heappop(free)
        left, now = size, start
        while now + left * pace[i] > lost_at[i]:
            done = max(0.0, (lost_at[i] - now) / pace[i])
            losses += 1
            now = max(now, lost_at[i]) + fleet.back_s
            if resumes:
                left -= np.floor(done)
                again += done - np.floor(done)
                now += size * fleet.list_s
            else:
                again += done
            lost_at[i] = now + rng.exponential(lasts)
        now += left * pace[i]
        heapq.heappush(free, (now, i))
        end = max(end, now)
    ideal = pictures / (1 / pace).sum()
    return {
        "hours": end / HOUR_S,
        "over the ideal": end / ideal,
        "workers lost": losses,
        "pictures painted twice": again,
    }


def main() -> None:
    """Simulate and write results/stragglers.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--pictures", type=float, default=1e9)
    parser.add_argument("--rate", type=float, default=0.025, help="seconds of one picture on one core")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    fleet = Fleet(options.workers, options.rate)
    batches = min(int(options.pictures / 1000), 200_000)
    ways = {
        "as many shards as workers": (options.workers, True),
        "10 shards a worker": (10 * options.workers, True),
        "50 shards a worker": (50 * options.workers, True),
        f"{batches} batches": (batches, False),
    }
    results: dict[str, object] = {"fleet": vars(fleet), "pictures": options.pictures}
    for name, (portions, resumes) in ways.items():
        runs = [
            finished(fleet, options.pictures, portions, resumes=resumes, rng=np.random.default_rng(seed))
            for seed in range(options.repeats)
        ]
        results[name] = {key: round(float(np.mean([run[key] for run in runs])), 3) for key in runs[0]}
    write_result("stragglers", f"simulated, means of {options.repeats} seeds", results)


if __name__ == "__main__":
    main()
