"""What the processes that train one network together tell each other; where there is one, nothing is communicated."""

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn

__all__ = [
    "any_process",
    "broadcast_number",
    "gathered",
    "mean_over_processes",
    "num_processes",
    "objects_of_all",
    "own_rows",
    "seed_of_process",
    "share_buffers",
]

T = TypeVar("T")

_SEED_STRIDE = 7_919


def num_processes() -> int:
    """Processes that train together; 1 outside torchrun."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def seed_of_process(seed: int, rank: int) -> int:
    """The seed of what a process draws for itself, such as the units that it drops; the first one's is `seed`."""
    return seed + _SEED_STRIDE * rank


class _Gathered(torch.autograd.Function):
    """Every process's rows, with gradient.

    All processes compute the same loss of the same gathered rows, so each already has the gradient of all rows. The
    sum over processes, the adjoint of gathering, is therefore the own rows' gradient times their number; data-parallel
    training divides by that number when it averages, which leaves the gradient of the loss of one process on the whole
    batch.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:  # noqa: ANN401  # torch's own type
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        return own_rows(gradient) * dist.get_world_size()


def gathered(rows: Tensor) -> Tensor:
    """Rows `[R, ...]` of every process in the order of ranks, `[W·R, ...]`, with gradient; see `_Gathered`.

    Every process must go on to compute the same loss of them.
    """
    if num_processes() == 1:
        return rows
    result: Tensor = _Gathered.apply(rows.contiguous())  # type: ignore[no-untyped-call]  # not in the stubs
    return result


def own_rows(rows: Tensor) -> Tensor:
    """This process's part of what `gathered` gave."""
    return rows if num_processes() == 1 else rows.chunk(num_processes())[dist.get_rank()]


def mean_over_processes(figures: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scalars without gradient, averaged over processes; the same names in the same order everywhere."""
    values = {name: value.detach() for name, value in figures.items()}
    if num_processes() == 1:
        return values
    joined = torch.stack([value.float() for value in values.values()])
    dist.all_reduce(joined)
    return dict(zip(values, joined / num_processes(), strict=True))


def any_process(is_so: bool, fabric: Fabric) -> bool:
    """Whether it is so in any process; the same answer in all."""
    if num_processes() == 1:
        return is_so
    flag = torch.tensor(float(is_so), device=fabric.device)
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())


def broadcast_number(value: float, fabric: Fabric) -> float:
    """The first process's number, in all."""
    if num_processes() == 1:
        return value
    number = torch.tensor(value, dtype=torch.float64, device=fabric.device)
    dist.broadcast(number, src=0)
    return float(number.item())


def share_buffers(module: nn.Module) -> None:
    """Give every process the first one's buffers: running statistics, which each has of its own share of the clips."""
    if num_processes() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def objects_of_all(value: T) -> list[T]:
    """Every process's value, in the order of ranks."""
    values: list[Any] = [value] * num_processes()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values
