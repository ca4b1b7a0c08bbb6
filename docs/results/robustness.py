"""Read damaged, many and long videos, and measure what that costs; writes robustness.md and robustness.json.

make robustness     (python docs/results/robustness.py --files 1000 --seed 0 --opens 1000 --minutes 60)
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1]))

import cocon.video.workers.pool as workers  # noqa: E402
from cocon.embedding.contract import EncoderSpec, ModelContract  # noqa: E402
from cocon.video.clips import ClipSpec  # noqa: E402
from cocon.video.decoding.limits import MediaLimits  # noqa: E402
from cocon.video.geometry import Geometry  # noqa: E402
from cocon.video.workers.pool import WorkerPool  # noqa: E402
from tests.video.endings import CLIPS, Ending, ending_of  # noqa: E402  # the tests' own files
from tests.video.mutations import mutated_files  # noqa: E402
from tests.video.processes import children_of, family_resident_bytes, resident_bytes  # noqa: E402
from tests.video.seed_videos import Seed, repeat_video, write_seed  # noqa: E402

DEADLINE_S = 5.0
WARM_UP_OPENS = 50
MEBIBYTE = 1 << 20
Row = dict[str, str | float]


def main() -> None:
    """Measure everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--opens", type=int, default=1000)
    parser.add_argument("--minutes", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = damaged_rows(root / "damaged", options.files, options.seed, ("rgb", "flow"))
        rows += damaged_rows(root / "views", options.files // 10, options.seed + 1, ("rgb", "flow", "pose", "mask"))
        rows += memory_rows(root / "opened", options.opens, options.seed + 2)
        rows += length_rows(root, options.minutes)
    write(rows, options)


def damaged_rows(folder: Path, num_files: int, seed: int, views: tuple[str, ...]) -> list[Row]:
    """How damaged files end."""
    endings: list[Ending] = []
    surprises = 0
    with WorkerPool(MediaLimits(frame_timeout_s=DEADLINE_S)) as pool:
        for path in mutated_files(folder, num_files, seed):
            try:
                endings.append(ending_of(pool, path, views))
            except Exception as error:  # what must not be
                surprises += 1
                print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    kinds = Counter(ending.kind for ending in endings)
    slowest = max(endings, key=lambda ending: ending.seconds)
    partly = sum(ending.kind == CLIPS and bool(ending.message) for ending in endings)
    case = f"{num_files} damaged files, {'+'.join(views)}, seed {seed}"
    classes = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    return [
        {"what": f"{case}: ended as clips or as one error", "asked": num_files, "measured": len(endings)},
        {"what": f"{case}: any other exception", "asked": 0, "measured": surprises},
        {"what": f"{case}: how they ended", "asked": "", "measured": f"{classes}; clips marked truncated {partly}"},
        {
            "what": f"{case}: took longer than {2 * DEADLINE_S:g} s, twice the deadline for a frame",
            "asked": 0,
            "measured": sum(ending.seconds > 2 * DEADLINE_S for ending in endings),
        },
        {"what": f"{case}: longest, seconds", "asked": "", "measured": round(slowest.seconds, 2)},
        {"what": f"{case}: processes left behind", "asked": 0, "measured": len(children_of(os.getpid()))},
    ]


def memory_rows(folder: Path, num_opens: int, seed: int) -> list[Row]:
    """Growth of memory with the number of files opened, half of them damaged."""
    damaged = list(mutated_files(folder, 20, seed))
    paths = list(islice(cycle(damaged + sorted((folder / "sound").iterdir())), num_opens))
    usual = _growth_mebibytes(paths)
    workers._MAX_JOBS = sys.maxsize  # one worker for all: what recycling hides
    alone = _growth_mebibytes(paths)
    what = f"resident memory at its most in {num_opens} opens, above that after {WARM_UP_OPENS}, MB"
    kilobytes = alone * 1024 / (num_opens - WARM_UP_OPENS)
    return [
        {"what": what, "asked": "<= 50", "measured": round(usual, 1)},
        {"what": f"{what}, all in one worker that is never replaced", "asked": "", "measured": round(alone, 1)},
        {"what": "growth of that worker per open, kB", "asked": "", "measured": round(kilobytes, 1)},
    ]


def _growth_mebibytes(paths: list[Path]) -> float:
    resident = []
    with WorkerPool() as pool:
        for path in paths:
            ending_of(pool, path)
            resident.append(family_resident_bytes())
    return (max(resident) - resident[WARM_UP_OPENS - 1]) / MEBIBYTE


def length_rows(root: Path, minutes: int) -> list[Row]:
    """Memory that embedding a long video takes, against a short one."""
    repository = write_repository(root / "models")
    short = write_seed(root / "short.mp4", Seed("mp4"), num_frames=60 * 25, height=720, width=1280, grain=16)
    long = repeat_video(short, root / "long.mp4", minutes)
    short_bytes, short_seconds = peak_of_embedding(short, repository)
    long_bytes, long_seconds = peak_of_embedding(long, repository)
    peaks = f"{short_bytes / MEBIBYTE:.0f} and {long_bytes / MEBIBYTE:.0f}"
    size = f"{long.stat().st_size / MEBIBYTE:.0f} MB"
    return [
        {
            "what": f"peak memory of `client embed --view rgb`, {minutes} minutes of 720p above 1 minute, MB",
            "asked": "<= 100",
            "measured": round((long_bytes - short_bytes) / MEBIBYTE, 1),
        },
        {"what": f"peak memory of 1 and of {minutes} minutes ({size}), MB", "asked": "", "measured": peaks},
        {
            "what": f"seconds for 1 and for {minutes} minutes",
            "asked": "",
            "measured": f"{short_seconds:.0f} and {long_seconds:.0f}",
        },
    ]


def peak_of_embedding(path: Path, repository: Path) -> tuple[int, float]:
    """The most memory that the command and its workers ever had, in bytes, and how long it took."""
    command = [sys.executable, "-m", "cocon.client", "embed", path, "--view", "rgb", "--url", f"local:{repository}"]
    output = ["--format", "jsonl", "--output", path.with_suffix(".jsonl")]
    begin, peaks = time.monotonic(), dict[int, int]()
    with subprocess.Popen([*map(str, command + output)], cwd=path.parent) as client:
        while client.poll() is None:
            for process in {client.pid} | children_of(client.pid):
                peaks[process] = max(peaks.get(process, 0), resident_bytes(process, field="VmHWM"))
            time.sleep(0.2)
    if client.returncode:
        raise SystemExit(f"{path.name} ended with {client.returncode}")
    return sum(peaks.values()), time.monotonic() - begin


def write_repository(root: Path) -> Path:
    """A model of the default clip whose encoder is the mean colour: all memory is that of the way to it."""
    contract = ModelContract(
        method="cocon",
        view="rgb",
        clip=ClipSpec(num_blocks=8, frames_per_block=5, step_seconds=0.1),
        geometry=Geometry(resize_px=128, crop_px=128),
        encoder=EncoderSpec("test", (1, 1, 1, 1), 4, "none"),
        embedding_dim=3,
        weights_sha256="0" * 64,
        labels=(),
        flow=None,
    )
    folder = root / "cocon_rgb" / "1"
    folder.mkdir(parents=True)
    (folder / "contract.json").write_text(contract.to_json())
    axes = {"cells": [2, 3, 4], "block": [1]}
    nodes = [
        helper.make_node("Cast", ["clip"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "cells"], ["colours"], keepdims=0),
        helper.make_node("LpNormalization", ["colours"], ["blocks"], axis=-1, p=2),
        helper.make_node("ReduceMean", ["blocks", "block"], ["mean"], keepdims=0),
        helper.make_node("LpNormalization", ["mean"], ["embedding"], axis=-1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "cocon_rgb",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, ["B", *contract.clip_shape])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape])
            for name, shape in contract.output_shapes.items()
        ],
        [numpy_helper.from_array(np.array(values, np.int64), name) for name, values in axes.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "model.onnx"
    )
    return root


def write(rows: list[Row], options: argparse.Namespace) -> None:
    """Both files."""
    facts = {"machine": machine(), "date": str(date.today()), "options": vars(options)}
    (HERE / "robustness.json").write_text(json.dumps(facts | {"rows": rows}, indent=1) + "\n")
    lines = [
        "# Damaged, many and long videos",
        "",
        f"Made by `make robustness` on {date.today()}, {machine()}.",
        "Damaged files are made from 20 generated ones (MP4, fragmented MP4, MOV, Matroska, WebM, AVI, transport and",
        "program streams, FLV, GIF, WMV; H.264, H.265, AV1, VP9, ProRes, FFV1 and others) by 14 kinds of damage",
        "(`tests/video/mutations.py`); the seed names the files. Memory is resident memory of the program and its",
        "worker processes together. The long video is the short one's packets over and over.",
        "",
        "| what | asked | measured |",
        "|---|---|---|",
    ]
    lines += [f"| {row['what']} | {row['asked']} | {row['measured']} |" for row in rows]
    (HERE / "robustness.md").write_text("\n".join(lines) + "\n")


def machine() -> str:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} cores of an {model}, no GPU, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
