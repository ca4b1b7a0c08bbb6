"""Block embeddings of whole untrimmed videos, in every view and at a regular hop, by frozen encoders."""

from collections.abc import Mapping

from cocon.core.progress import OnProgress
from cocon.training.boundary_head.learning import BlockSequence
from cocon.training.data.frames import VideoFrames
from cocon.training.data.reading.decoded_video import DecodedVideo
from cocon.training.evaluation.recognition.blocks import ClipProtocol, encode_blocks
from cocon.training.evaluation.recognition.features import Encoders

__all__ = ["Sequences", "block_sequences"]

Sequences = Mapping[str, Mapping[str, BlockSequence]]  # view → video id → blocks


def block_sequences(encoders: Encoders, frames: VideoFrames, *, on_progress: OnProgress) -> Sequences:
    """Embed a block every half block of every video; one that fails to load is left out and remembered in `frames`.

    Args:
        encoders: see `Encoders`.
        frames: the videos.
        on_progress: called with (videos done, videos in all).

    Returns:
        View → video id → blocks; the same moments in all views.

    Raises:
        VideoError: no video can be loaded.
    """
    found: dict[str, dict[str, BlockSequence]] = {view: {} for view in encoders}
    for index, entry in enumerate(frames.entries):
        if (video := frames[index]).entry is entry:
            duration_seconds = _duration_seconds(video)
            for view, (encoder, contract) in encoders.items():
                protocol = ClipProtocol(hop_blocks=contract.clip.num_blocks)
                blocks = encode_blocks(encoder, contract, video, protocol=protocol, has_dense=True)
                sequence = BlockSequence(blocks.dense.numpy(), blocks.dense_seconds, duration_seconds)
                found[view][entry.video_id] = sequence
        on_progress(index + 1, len(frames))
    return found


def _duration_seconds(video: DecodedVideo) -> float:
    """To the end of the last frame, which is shown as long as frames are on average."""
    seconds = video.timestamps - video.timestamps[0]
    return float(seconds[-1] * len(seconds) / max(1, len(seconds) - 1))
