"""One training step of CoCon against restatements of its description and of the released code, and matrix products.

python benchmarks/training.py                    # the paper's network and clip; needs 8 GB
python benchmarks/training.py --batch-size 2     # the same in 4 GB and a quarter of the time

Each side runs in a process of its own, one after another in every round, so that neither the memory of the other nor
what else the machine does falls on one side alone. On one CUDA device if there is one. Else on one core, by the clock
of the processor: threads that wait for a core which others use would measure the others.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from literal_step import LiteralCoCon, LiteralNetwork, ReleasedCoCon
from results_file import Row, write_results
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cocon.embedding.contract import EncoderSpec
from cocon.training.config.learning_sections import LossSection
from cocon.training.machine.memory import keep_memory
from cocon.training.methods.building import loss_weights
from cocon.training.methods.cocon import CoCon
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.models.architectures import DEPTHS
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS

Loss = Callable[[dict[str, Tensor]], Tensor]

NUM_ROUNDS = 5
MATRIX_SIDE = 2048
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Case:
    """What the networks are and see."""

    depths: tuple[int, ...]
    width: int
    num_blocks: int
    num_frames: int
    num_predicted: int
    batch_size: int
    sizes_px: dict[str, int]


CASES = {
    "paper": Case(DEPTHS["resnet18"], 64, 8, 5, 3, 8, {"rgb": 128, "flow": 128, "pose": 64, "mask": 64}),
    "figures": Case(DEPTHS["resnet10"], 16, 6, 4, 2, 16, dict.fromkeys(("rgb", "flow", "pose", "mask"), 48)),
}
RESTATED = {"literal": LiteralCoCon, "released": ReleasedCoCon}
# Times the released code's step.
WANTED = {"float32": 2.0, "bfloat16": 2.0}
# Name of a side → precision, whether activations are checkpointed.
SIDES = {
    "literal": (torch.float32, False),
    "released": (torch.float32, False),
    "float32": (torch.float32, False),
    "float32, checkpointed": (torch.float32, True),
    "bfloat16": (torch.bfloat16, False),
    "bfloat16, checkpointed": (torch.bfloat16, True),
}


def main() -> None:
    """Measure, print and write `benchmarks/results/training.json`; with `--side`, be one side of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=CASES["paper"].batch_size, help="of the paper's case")
    parser.add_argument("--case", choices=CASES, default="paper", help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measured(arguments.case, arguments.side, arguments.batch_size)))
        return
    batch_sizes = {name: case.batch_size for name, case in CASES.items()} | {"paper": arguments.batch_size}
    rows = [row for name, batch_size in batch_sizes.items() for row in compared(name, batch_size)]
    for row in rows:
        print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("training", rows, packages=["torch"]))


def compared(name: str, batch_size: int) -> list[Row]:
    """Every side in its turn, round after round."""
    # Checkpointing is for networks whose activations outweigh their libraries.
    sides = [side for side, (_, is_checkpointed) in SIDES.items() if name == "paper" or not is_checkpointed]
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for index in range(NUM_ROUNDS):
        for side, results in runs.items():
            command = [sys.executable, __file__, "--case", name, "--side", side, "--batch-size", str(batch_size)]
            results.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
            print(f"{name}, round {index + 1}, load {os.getloadavg()[0]:.1f}, {side}: {results[-1]}", file=sys.stderr)
    medians = {
        side: {key: statistics.median(run[key] for run in results) for key in results[0]}
        for side, results in runs.items()
    }
    flop = step_flop(CASES[name], batch_size)
    return [
        row
        for side in sides
        if side not in RESTATED
        for row in rows_of(f"{name}, batch {batch_size}, {side}", batch_size, flop, medians, side)
    ]


def rows_of(case: str, batch_size: int, flop: float, medians: dict[str, dict[str, float]], side: str) -> list[Row]:
    """Speed, memory and share of the matrix product's rate."""
    ours, literal, released = medians[side], medians["literal"], medians["released"]
    versus = "the literal step in float32"
    speed, gflops = batch_size / ours["seconds"], flop / ours["seconds"] / 1e9
    unit = "clips/s" if DEVICE.type == "cuda" else "clips/s on one core"
    peak = ours["peak_bytes"]
    of_released = round(released["seconds"] / ours["seconds"], 2)
    return [
        Row(case, round(speed, 3), unit, "the released code's step in float32", of_released, WANTED.get(side)),
        Row(case, round(speed, 3), unit, versus, round(literal["seconds"] / ours["seconds"], 2)),
        Row(case, round(peak / 1e9, 2), "GB at the peak", versus, round(literal["peak_bytes"] / peak, 2)),
        Row(
            case,
            round(gflops, 1),
            "GFLOP/s",
            f"a product of two {MATRIX_SIDE}² matrices in the same precision",
            round(gflops * 1e9 / ours["matrix_flops"], 2),
        ),
    ]


def measured(name: str, side: str, batch_size: int) -> dict[str, float]:
    """Build one side, warm up, and time one step (the median of three of a small network)."""
    case, (precision, is_checkpointed) = CASES[name], SIDES[side]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    is_restated = side in RESTATED
    if not is_restated:
        keep_memory()  # as `cocon train` does
    model, loss = restated(case, RESTATED[side]) if is_restated else ours(case, is_checkpointed=is_checkpointed)
    clips = {
        view: clip.to(DEVICE)
        for view, clip in (normalised_clips if is_restated else byte_clips)(case, batch_size).items()
    }
    model.to(DEVICE).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)

    def step(clips: dict[str, Tensor]) -> None:
        optimizer.zero_grad()
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision is torch.bfloat16):
            value = loss(clips)
        value.backward()
        optimizer.step()

    step({view: clip[:1] for view, clip in clips.items()})  # warms up
    seconds = statistics.median(clocked(partial(step, clips)) for _ in range(1 if name == "paper" else 3))
    peak_bytes = peak()
    matrices = [torch.randn(MATRIX_SIDE, MATRIX_SIDE, device=DEVICE, dtype=precision) for _ in range(2)]
    product_seconds = statistics.median(clocked(partial(torch.mm, *matrices)) for _ in range(9))
    return {
        "seconds": seconds,
        "peak_bytes": peak_bytes,
        "matrix_flops": 2 * MATRIX_SIDE**3 / product_seconds,
    }


def restated(case: Case, losses: type[nn.ModuleDict]) -> tuple[nn.Module, Loss]:
    """The literal networks under the description's losses, or the released code's."""
    networks = {
        view: LiteralNetwork(VIEWS[view].channels, case.depths, case.width, case.num_predicted)
        for view in case.sizes_px
    }
    model = losses(networks)
    return model, lambda clips: model(clips)


def ours(case: Case, *, is_checkpointed: bool) -> tuple[nn.Module, Loss]:
    """The method as it is trained, and its loss, which normalises."""
    spec = EncoderSpec("resnet2d3d", case.depths, case.width)
    networks = {}
    for view in case.sizes_px:
        encoder = build_encoder(spec, VIEWS[view])
        encoder.backbone.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
        encoder.backbone.checkpoint_activations = is_checkpointed
        networks[view] = PredictiveNetwork(encoder, num_predicted=case.num_predicted)
    model = CoCon(networks, loss_weights(LossSection(sync_ramp=0.0), "cocon"))
    return model, lambda clips: model(clips, 1.0).total


def byte_clips(case: Case, batch_size: int) -> dict[str, Tensor]:
    """`uint8 [B, N, T, H, W, C]` per view, as our loader gives them."""
    return {
        view: torch.randint(0, 256, (batch_size, case.num_blocks, case.num_frames, side_px, side_px, count)).byte()
        for view, side_px in case.sizes_px.items()
        for count in [VIEWS[view].channels]
    }


def normalised_clips(case: Case, batch_size: int) -> dict[str, Tensor]:
    """`float32 [B, N, C, T, H, W]` per view, as a loader in the style of the description gives them."""
    return {
        view: torch.randn(batch_size, case.num_blocks, VIEWS[view].channels, case.num_frames, side_px, side_px)
        for view, side_px in case.sizes_px.items()
    }


def step_flop(case: Case, batch_size: int) -> float:
    """Floating-point operations of forward and backward as the layers define them, counted without computing."""
    with torch.device("meta"):
        (model, _), clips = restated(case, LiteralCoCon), normalised_clips(case, 2)
        with FlopCounterMode(display=False) as counter:
            # Convolutions do all the work that counts; a masked mean has no shape on this device.
            outputs = [network(clips[view]) for view, network in model.items()]  # type: ignore[operator]
            torch.stack([part.sum() for output in outputs for part in output]).sum().backward()
    return counter.get_total_flops() / 2 * batch_size


def clocked(work: Callable[[], object]) -> float:
    """Seconds of the device, or of the processor."""
    clock = time.perf_counter if DEVICE.type == "cuda" else time.process_time
    synchronize()
    start = clock()
    work()
    synchronize()
    return clock() - start


def synchronize() -> None:
    """Wait for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def peak() -> int:
    """Most bytes ever held: of the device, or of this process with its libraries."""
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
