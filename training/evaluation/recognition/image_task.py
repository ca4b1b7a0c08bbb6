"""Images classified by a frame encoder: linear probe and retrieval on `train/CLASS/…` and `test/CLASS/…`.

An image is a video of one frame: it is decoded, resized and cropped as one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.embedding.contract import ModelContract
from cocon.training.data.augment import centred_clip
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.recognition.evaluate import untrained_encoder
from cocon.training.evaluation.recognition.features import VideoFeatures, video_features
from cocon.training.evaluation.recognition.result import evaluate_features
from cocon.training.evaluation.tasks import TaskRequest, TaskResult
from cocon.training.models.encoder import Encoder, default_device
from cocon.training.run_folder.warm_start import RANDOM
from cocon.video.reading.reader import ViewRequest
from cocon.video.store.dataset import VideoEntry

__all__ = ["evaluate", "image_entries"]

_VIEW = "rgb"
_SPLITS = ("train", "test")
_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".webp"))
_FIGURES = ("probe_top1", "knn_top1", "R@1", "R@5", "R@10")
_CALIBRATION_BATCHES, _BATCH_SIZE = 10, 16


def evaluate(request: TaskRequest) -> TaskResult:
    """Figures of the encoder of view `rgb`, and of the same network untrained.

    Raises:
        UsageError: the encoder does not look at single frames, or a split has no images of two classes.
    """
    encoder, contract = request.run.encoder(_VIEW)
    if contract.clip.frames_per_block != 1:
        raise UsageError(
            f"the encoder of '{request.run}' looks at blocks of {contract.clip.frames_per_block} frames; --task images "
            "is for those of single frames, such as of --method vclr or cycle"
        )
    needs = {_VIEW: ViewRequest(contract.geometry, contract.flow)}
    is_followed = contract.geometry.following is not None  # nobody stores who is in an image
    frames = {
        split: VideoFrames(
            image_entries(request.data, split), request.data, needs, cache_gib=1.0, makes_people=is_followed
        )
        for split in _SPLITS
    }
    encoders = {contract.method: encoder}
    if request.has_random:
        encoders = {
            RANDOM: untrained_encoder(request.run.config, _VIEW, _batches(frames["train"], contract))
        } | encoders
    rows = tuple(_row(name, one, contract, frames, request) for name, one in encoders.items())
    failures = {name: reason for each in frames.values() for name, reason in each.failures.items()}
    return TaskResult("test images, per cent; R@k and kNN among the training images, cosine", rows, failures)


def image_entries(folder: Path, split: str) -> tuple[VideoEntry, ...]:
    """The images of `folder/split`, each labelled by the folder that it lies in, sorted.

    Raises:
        UsageError: there are none, or of one class only.
    """
    found = [
        VideoEntry("__".join(path.relative_to(folder).parts), path, label=path.parent.name, split=split)
        for path in sorted((folder / split).glob("*/*"))
        if path.suffix.lower() in _SUFFIXES and path.is_file()
    ]
    if len({entry.label for entry in found}) < 2:
        raise UsageError(
            f"'{folder / split}' has {len(found)} images in folders of classes; two classes are needed: "
            f"{split}/CLASS/IMAGE, ending in {', '.join(sorted(_SUFFIXES))}"
        )
    return tuple(found)


def _row(
    method: str, encoder: Encoder, contract: ModelContract, frames: Mapping[str, VideoFrames], request: TaskRequest
) -> dict[str, str | float]:
    encoders = {_VIEW: (encoder.to(default_device()), contract)}
    found: dict[str, VideoFeatures] = {}
    for split, images in frames.items():
        with request.progress_bar(f"embedding {split} images with {method}", unit="images") as on_progress:
            found[split] = video_features(encoders, images, on_progress=on_progress, has_ordered=False, has_clips=False)
    figures = evaluate_features(found, method).metrics[0].figures
    return {"method": method, "view": _VIEW} | {name: figures[name] for name in _FIGURES}


def _batches(images: VideoFrames, contract: ModelContract) -> Iterator[Tensor]:
    """Some training images, `uint8 [B, 1, 1, H, W, C]`."""
    chosen = np.linspace(0, len(images) - 1, min(len(images), _CALIBRATION_BATCHES * _BATCH_SIZE)).astype(int)
    first = np.zeros((1, 1), np.int64)
    clips = [centred_clip(images[int(i)].views[_VIEW], first, contract.geometry.crop_px) for i in chosen]
    for start in range(0, len(clips) - 1, _BATCH_SIZE):
        yield torch.from_numpy(np.stack(clips[start : start + _BATCH_SIZE]))
