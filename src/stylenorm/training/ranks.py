"""Several processes that make one training: who has which share of a step, and what is put together again.

``torchrun`` starts the processes; `stylenorm.training.fit` joins them. A recipe's author has to know two
words. Everything that a step draws is drawn for its whole batch, on every process alike, and `shard` takes
this process's part of it (`stylenorm.training.Photos` gives its part already). A value of each sample that
changes more than a gradient, such as a balance of weights, is put together by `all_gather`. With one
process both return what they are given. Gradients, losses and the statistics of batch norms are the loop's
business.

Why not `torch.nn.parallel.DistributedDataParallel`: it hooks into the ``forward`` of one wrapped module, and
a recipe calls parts of its model, some of them twice a step. One exchange of all gradients after the backward
pass asks for nothing of the kind; what it forgoes is exchanging while the backward pass goes on, which on
networks of a few million parameters is little.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, overload

import torch
import torch.distributed as dist
from torch import Tensor, nn

from stylenorm._moved import old_names
from stylenorm.errors import InputError, StylenormError, TrainingError

__all__ = [
    "LostProcessError",
    "all_gather",
    "all_reduce",
    "average_gradients",
    "broadcast_result",
    "broadcast_state",
    "is_first",
    "is_launched",
    "process_group",
    "shard",
    "single_process",
    "world_size",
]

__getattr__ = old_names(__name__)

_T = TypeVar("_T")
_GIVEN_BY_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_alone = False
_trainings = itertools.count()


class LostProcessError(TrainingError):
    """Another process of this training ended, or no longer answers."""


def is_launched() -> bool:
    """Whether this process was started as one of several, by torchrun or with its variables."""
    return all(name in os.environ for name in _GIVEN_BY_TORCHRUN) and int(os.environ["WORLD_SIZE"]) > 1


def world_size() -> int:
    """Return how many processes share each step's batch; 1 if none joined, and within `single_process`."""
    return dist.get_world_size() if dist.is_initialized() and not _alone else 1


def is_first() -> bool:
    """Whether it is this process that shows progress and writes checkpoints, samples and results."""
    if dist.is_initialized():
        return dist.get_rank() == 0
    return not is_launched() or int(os.environ["RANK"]) == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Within the block, the processes that torchrun started are one training.

    Args:
        device: what this process computes on. GPUs exchange by NCCL, CPUs by gloo.

    Raises:
        TrainingError: the others could not be reached.
    """
    if not is_launched() or dist.is_initialized():
        yield
        return
    try:
        meeting, rank, num = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
        # A place of its own: a second training of the same processes must not find the first's addresses.
        meeting = dist.PrefixStore(f"stylenorm-{next(_trainings)}", meeting)  # type: ignore[attr-defined]
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=meeting, rank=rank, world_size=num)
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrainingError(
            f"expected {os.environ['WORLD_SIZE']} processes to meet at {address}, got: {_first_line(error)}"
        ) from error
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def single_process() -> Iterator[None]:
    """Within the block, this process computes by itself: whole batches, and no waiting for others."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


@overload
def shard(values: Tensor) -> Tensor: ...
@overload
def shard(values: range) -> range: ...
@overload
def shard(values: Sequence[_T]) -> Sequence[_T]: ...
def shard(values: Tensor | Sequence[_T]) -> Tensor | Sequence[_T]:
    """Return this process's part of what was drawn for a whole batch: equal parts, in order.

    Raises:
        InputError: the batch cannot be cut into equal parts.

    Example:
        >>> shard(range(4))  # one process has it all
        range(0, 4)
    """
    if world_size() == 1:
        return values
    size, rest = divmod(len(values), world_size())
    if rest:
        raise InputError(
            f"expected a batch that {world_size()} processes can share equally, got {len(values)} pictures: "
            f"choose a batch size that is a multiple of {world_size()}"
        )
    return values[dist.get_rank() * size : (dist.get_rank() + 1) * size]


def all_gather(part: Tensor) -> Tensor:
    """Return the whole batch's values, of which ``part`` (n, ...) are this process's; without gradient.

    Every process must call it, and give equally many.
    """
    part = part.detach()
    if world_size() == 1:
        return part
    parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(world_size())]
    with _exchanging():
        dist.all_gather(parts, part.contiguous())
    return torch.cat(parts)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:  # noqa: ARG004 (autograd's signature)
        total = x.clone(memory_format=torch.contiguous_format)
        with _exchanging():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)  # every process's loss depends on every process's share


def all_reduce(x: Tensor) -> Tensor:
    """Return the sum of all processes' ``x``, with its gradient. Every process must call it."""
    if world_size() == 1:
        return x
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


def average_gradients(parameters: Sequence[nn.Parameter], numbers: Tensor) -> Tensor:
    """Put the mean over the processes in the place of every gradient, in one exchange.

    Shares are equal, so the mean of the shares' mean losses is the whole batch's. A parameter that took part
    in no process's loss keeps the gradient None, and its optimiser state stands still; what took part in one
    process's counts 0 in the others'.

    Args:
        parameters: those whose gradients are exchanged.
        numbers: (K,) float32, exchanged in the same way.

    Returns:
        The mean of ``numbers``, (K,).
    """
    if world_size() == 1:
        return numbers
    took_part = numbers.new_tensor([p.grad is not None for p in parameters])
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([numbers, took_part, *(gradient.reshape(-1) for gradient in gradients)])
    with _exchanging():
        dist.all_reduce(flat)
    flat /= world_size()
    sizes = [len(numbers), len(took_part), *(parameter.numel() for parameter in parameters)]
    _, took_part, *parts = torch.split(flat, sizes)
    for parameter, gradient, part, in_any in zip(
        parameters, gradients, parts, took_part.tolist(), strict=True
    ):
        parameter.grad = gradient.copy_(part.view_as(gradient)) if in_any else None
    return flat[: len(numbers)]


def broadcast_result(make: Callable[[], _T]) -> _T:
    """Return on every process what ``make`` returns on the first, where alone it runs.

    Raises:
        StylenormError: what ``make`` raised; on the other processes a TrainingError with the same text.
    """
    if world_size() == 1:
        return make()
    answer: list[object] = [None, None]
    failure = None
    if is_first():
        try:
            answer[0] = make()
        except StylenormError as error:
            failure, answer[1] = error, str(error)
    with _exchanging():
        dist.broadcast_object_list(answer, 0)
    if failure is not None:
        raise failure
    if answer[1] is not None:
        raise TrainingError(str(answer[1]))
    return answer[0]  # type: ignore[return-value]


@torch.no_grad()
def broadcast_state(module: nn.Module) -> None:
    """Give ``module`` the first process's parameters and buffers: seeds alone do not bind unlike machines."""
    if world_size() == 1:
        return
    with _exchanging():
        for value in module.state_dict().values():
            held = value.contiguous()
            dist.broadcast(held, 0)
            value.copy_(held)


@contextmanager
def _exchanging() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"lost one of the {dist.get_world_size()} processes of this training ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
