"""Two gloo processes: gradients are those of one process that sees the whole batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

import stylenorm.nn as sn

WORKER = """
import os, sys, torch
import torch.distributed as dist
from tests.nn.test_ddp import build, data
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
model = build()
ddp = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(ddp.parameters(), 0.1)
for step in range(3):
    x, style = data(step)
    optimizer.zero_grad()
    half = slice(rank * 2, rank * 2 + 2)
    ddp(x[half], style[half]).square().mean().backward()
    optimizer.step()
if rank == 0:
    torch.save(model.state_dict(), sys.argv[1])
dist.destroy_process_group()
"""


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
        self.block = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.InstanceNorm2d(4, affine=True),
                                         torch.nn.PReLU())  # fmt: skip
        self.norm = sn.ConditionalInstanceNorm2d(4, 3)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        return self.block(self.norm(self.conv(x), style))


def build() -> torch.nn.Module:
    torch.manual_seed(0)
    model = Net()
    sn.convert(model)
    return model


def data(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(step)
    return torch.randn(4, 3, 10, 10, generator=g), torch.rand(4, 3, generator=g)


def test_ddp_is_one_big_batch(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    out = tmp_path / "state.pt"
    root = Path(__file__).parents[2]
    workers = []
    for rank in range(2):
        env = os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                            "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}  # fmt: skip
        command = [sys.executable, "-c", WORKER, str(out)]
        workers.append(subprocess.Popen(command, env=env, cwd=root, stderr=subprocess.PIPE, text=True))
    for worker in workers:
        _, errors = worker.communicate(timeout=280)
        assert worker.returncode == 0, errors[-2000:]

    model = build()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(3):
        optimizer.zero_grad()
        model(*data(step)).square().mean().backward()
        optimizer.step()
    for name, value in torch.load(out).items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-4, atol=1e-6)
