"""What frozen encoders make of labelled videos: features of their clips, of which those of a video weigh 1 together.

A classifier is asked about clips, so it is fitted to clips: to videos' means it is surer of itself than it is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from cocon.core.errors import VideoError
from cocon.core.progress import OnProgress
from cocon.embedding.contract import ModelContract
from cocon.training.data.frames import VideoFrames
from cocon.training.data.reading.decoded_video import DecodedVideo
from cocon.training.distributed import any_process, objects_of_all
from cocon.training.evaluation.recognition.blocks import ClipProtocol, encode_blocks
from cocon.training.loop.failures import fail_too_often, refuse_failures
from cocon.training.loop.interruption import interruptible
from cocon.training.models.encoder import Encoder
from cocon.training.models.pooling import cell_features, part_means
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import contract_of

__all__ = ["LabelledClips", "labelled_clips"]

# A regression takes longer the more clips there are, and learns little from the ninth of a video.
_MOST_OF_A_VIDEO = 8
_MOST_IN_ALL = 20_000
_EVERY_BLOCK = ClipProtocol(hop_blocks=1)


@dataclass(frozen=True, slots=True)
class LabelledClips:
    """M clips of labelled videos.

    Attributes:
        features: view → mean block features of the clips' parts, before normalisation, `float32 [M, P·D]`.
        names: class of each, `str [M]`.
        groups: group of its video, or the video itself, `str [M]`.
        weights: 1 / clips of its video, `float64 [M]`.
    """

    features: Mapping[str, NDArray[np.float32]]
    names: NDArray[np.str_]
    groups: NDArray[np.str_]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the encoders make of a video: its position, and the features of its clips, view → `float32 [K, P·D]`."""

    position: int
    features: Mapping[str, NDArray[np.float32]]


def labelled_clips(
    run: RunFolder, encoders: Mapping[str, Encoder], frames: VideoFrames, fabric: Fabric, on_progress: OnProgress
) -> LabelledClips:
    """See every labelled video once, as it is judged, a clip beginning at every block; the same in all processes.

    Of a video up to eight clips are kept, spread evenly, and fewer where there would be more than 20,000.

    Args:
        run: what is trained.
        encoders: view → encoder, in evaluation mode where it is to compute.
        frames: labelled training videos.
        fabric: processes that share the videos.
        on_progress: called with (videos done, videos in all).

    Raises:
        KeyboardInterrupt: a stop was asked for, of any process.
        VideoError: too many videos failed, or none can be read.
    """
    most = min(_MOST_OF_A_VIDEO, max(1, _MOST_IN_ALL // max(1, len(frames))))
    seen = _seen_by_all(run, encoders, frames, fabric, on_progress, most)
    if not seen:
        raise VideoError("none of the videos that have a label can be read; see the warnings, or label others")
    entries = [frames.entries[one.position] for one in seen]
    counts = [len(next(iter(one.features.values()))) for one in seen]
    return LabelledClips(
        features={view: np.concatenate([one.features[view] for one in seen]) for view in encoders},
        names=np.repeat([entry.label for entry in entries], counts),
        groups=np.repeat([entry.group or entry.video_id for entry in entries], counts),
        weights=np.repeat(1.0 / np.array(counts), counts),
    )


def _seen_by_all(
    run: RunFolder,
    encoders: Mapping[str, Encoder],
    frames: VideoFrames,
    fabric: Fabric,
    on_progress: OnProgress,
    most: int,
) -> list[_Seen]:
    """Every video that can be read, in the order of the data."""
    contracts = {
        view: contract_of(run.config, view, encoder, method=run.config.method, labels=())
        for view, encoder in encoders.items()
    }
    own: list[_Seen] = []
    with interruptible() as asked:
        for first in range(0, len(frames), fabric.world_size):
            position = first + fabric.global_rank
            if position < len(frames) and (video := frames[position]).entry is frames.entries[position]:
                own.append(_Seen(position, _features(encoders, contracts, video, most)))
            on_progress(min(first + fabric.world_size, len(frames)), len(frames))
            if any_process(asked.is_requested or fail_too_often(frames, run.config.data), fabric):
                refuse_failures(frames, run.config.data)
                raise KeyboardInterrupt
    return sorted((one for part in objects_of_all(own) for one in part), key=lambda one: one.position)


def _features(
    encoders: Mapping[str, Encoder], contracts: Mapping[str, ModelContract], video: DecodedVideo, most: int
) -> dict[str, NDArray[np.float32]]:
    found = {}
    for view, encoder in encoders.items():
        blocks = encode_blocks(encoder, contracts[view], video, protocol=_EVERY_BLOCK, has_dense=False)
        pooled = cell_features(blocks.maps[0], encoder.cells)  # [U, D]
        parts = part_means(pooled[torch.from_numpy(blocks.numbers)], encoder.num_parts).flatten(1)  # [K, P·D]
        spread = np.linspace(0, len(parts) - 1, most).round().astype(np.int64)
        kept = parts[spread] if len(parts) > most > 1 else parts
        found[view] = np.asarray((kept if most > 1 else kept.mean(dim=0, keepdim=True)).numpy(), np.float32)
    return found
