"""The precision of a training: as asked for, as it was begun in, or whichever is faster on this machine, by measuring.

bfloat16 takes half of the memory's time, and on processors made for it a fraction of the arithmetic's; on others it is
emulated, and slower than float32. What counts is measured on the networks that are to be trained, and remembered, so
that all runs of one kind on one machine are of one precision. A device that has it is faster with it, unmeasured.
"""

import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

from cocon.core.atomic import replacing
from cocon.core.errors import StorageError
from cocon.training.config.run import Config
from cocon.training.data.samples import pretraining_sampler
from cocon.training.machine.threads import crowd
from cocon.training.methods.building import build_method
from cocon.training.models.encoder import default_device
from cocon.training.run_folder.files import RunFolder
from cocon.video.views import VIEWS

__all__ = ["Precision", "PrecisionName", "precision_of"]

PrecisionName = Literal["32-true", "bf16-mixed", "16-mixed"]

# A little faster is not worth the digits.
_MIN_GAIN = 1.15
_MAX_SECONDS, _MAX_ROUNDS = 4.0, 5
# Of fewer, the median is chance.
_LEAST_ROUNDS = 3
# So long a step is long enough to be timed.
_STEP_SECONDS = 0.4
# What is measured where nothing is known of the videos: a minute of them.
_TIMESTAMPS = np.arange(0.0, 60.0, 1 / 30)


class Precision(NamedTuple):
    """A precision, and why this one: words for whoever trains, empty where it was asked for."""

    name: PrecisionName
    reason: str


def precision_of(run: RunFolder, *, is_new: bool) -> Precision:
    """What a run is trained in.

    Args:
        run: its configuration may say; and if it has a state, that does.
        is_new: whether a state that is there is of a run which is about to be replaced.
    """
    config = run.config
    if config.training.precision != "auto":
        return Precision(config.training.precision, "")
    unmeasured: PrecisionName = "bf16-mixed" if torch.cuda.is_available() and _has_two() else "32-true"
    if run.has_begun and not is_new:
        begun = run.precision
        return Precision(begun, "as it was begun") if begun else Precision(unmeasured, "as earlier releases chose")
    # Several processes must all do alike, and wait for nobody.
    is_measurable = int(os.environ.get("WORLD_SIZE", "1")) == 1 and default_device().type == "cpu" and _has_two()
    if not is_measurable or not _trains_encoders(config):
        return Precision(unmeasured, "")
    try:
        gain = _remembered(config)
    except (MemoryError, RuntimeError):  # of memory, or of what has no bfloat16; what is no fault of either comes again
        return Precision(unmeasured, "bf16-mixed could not be measured here")
    said = f"bf16-mixed is {gain:.2f} × as fast here"
    return Precision("bf16-mixed" if gain >= _MIN_GAIN else "32-true", said)


def _trains_encoders(config: Config) -> bool:
    """A classifier alone takes little time."""
    has_classifier = config.classifier.head != "none" and config.classifier.mode == "finetune"
    return config.training.epochs > 0 or has_classifier


def _has_two() -> bool:
    """Whether there is bfloat16 that is not emulated by something hopelessly slow."""
    if default_device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    with suppress(AttributeError, RuntimeError):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def _remembered(config: Config) -> float:
    """The gain, as it was measured before on this machine and the same networks; else measured now."""
    known: dict[str, float] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError, RuntimeError):  # none, or none of ours
        known = {str(key): float(gain) for key, gain in json.loads(_place().read_text(encoding="utf-8")).items()}
    key = _key(config)
    if key in known:
        return known[key]
    ratios = _ratios(config)
    gain = round(statistics.median(ratios), 2)
    is_sure = len(ratios) >= _LEAST_ROUNDS and not crowd(torch.get_num_threads())
    # A disk that takes nothing, or nobody's home, costs the next run a few seconds.
    with suppress(OSError, StorageError, RuntimeError):
        if is_sure:
            with replacing(_place()) as partial_file:
                partial_file.write_text(json.dumps(known | {key: gain}, indent=2) + "\n", encoding="utf-8")
    return gain


def _place() -> Path:
    """Where it is remembered; `RuntimeError` where the user has no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cocon" / "precision.json"


def _key(config: Config) -> str:
    """What the speed depends on: processor, threads, networks, and the shape of a batch."""
    shapes = {view: config.geometry(view).crop_px for view in config.views}
    parts = [
        _processor(),
        torch.get_num_threads(),
        torch.__version__,
        config.method,
        config.model.model_dump(),
        {view: config.trunk_of(view).model_dump() for view in config.views},
        shapes,
        _draw(config),
        config.training.batch_size,
        config.training.checkpoint_activations,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _processor() -> str:
    """What the system calls it, with its number of cores."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "flags"))]
        return f"{' '.join(names[:2])} × {len(names) // 2}"
    return f"{platform.processor()} × {os.cpu_count()}"


def _draw(config: Config) -> tuple[int, int]:
    """N and T of what the method learns from."""
    num_blocks, num_frames = pretraining_sampler(config).draw(_TIMESTAMPS, np.random.default_rng(0)).shape
    return num_blocks, num_frames


def _ratios(config: Config) -> list[float]:
    """Seconds of a step in float32 to those in bfloat16, of rounds in turn, in a few seconds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        began = time.perf_counter()
        method = build_method(config).train()

        def step(precision: torch.dtype, num_clips: int) -> float:
            clips = {
                view: torch.randint(
                    0, 256, (num_clips, *_draw(config), side, side, VIEWS[view].channels), dtype=torch.uint8
                )
                for view in config.views
                for side in [config.geometry(view).crop_px]
            }
            method.zero_grad(set_to_none=True)
            return _seconds(partial(_forward_and_back, method, clips, precision))

        step(torch.float32, 2)  # the first one prepares kernels
        exact = step(torch.float32, 2)
        num_clips = max(2, min(config.training.batch_size, int(2 * _STEP_SECONDS / exact)))
        ratios: list[float] = []
        step(torch.bfloat16, num_clips)
        if num_clips > 2:
            step(torch.float32, num_clips)
        while len(ratios) < _MAX_ROUNDS and (not ratios or time.perf_counter() - began < _MAX_SECONDS):
            ratios.append(step(torch.float32, num_clips) / step(torch.bfloat16, num_clips))
    return ratios


def _forward_and_back(method: torch.nn.Module, clips: dict[str, torch.Tensor], precision: torch.dtype) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        terms = method(clips, 0.5)
    terms.total.backward()


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
