"""Of long videos, only the frames that clips take are kept, on disk: every figure is the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.training.config.run import Config
from cocon.training.data import frames as frames_module
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.evaluation.locating.untrimmed_blocks import block_sequences
from cocon.training.evaluation.recognition.blocks import ClipProtocol
from cocon.training.evaluation.recognition.features import video_features
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder

MakeConfig = Callable[..., Config]


def _silent(done: int, total: int | None) -> None:
    pass


@pytest.mark.parametrize("protocol", [ClipProtocol(), ClipProtocol(num_crops=10, num_clips=2)])
def test_features_of_long_videos_are_the_same(
    protocol: ClipProtocol, trained: Path, tiny_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config()
    encoders = {view: RunFolder.open(trained).encoder(view) for view in config.views}
    entries = DatasetFolder.open(config.data.folder).split("test")
    found, sequences = [], []
    for long_seconds in (60.0, 0.5):
        monkeypatch.setattr(frames_module, "_LONG_SECONDS", long_seconds)
        frames = VideoFrames(entries, config.data.folder, view_requests(config), cache_gib=1.0, grid=config.clip.spec())
        assert (frames[0].clock is None) == (long_seconds == 60.0)
        found.append(video_features(encoders, frames, on_progress=_silent, protocol=protocol))
        sequences.append(block_sequences(encoders, frames, on_progress=_silent))
    whole, thinned = found
    for name in ("embeddings", "ordered", "clips", "probabilities"):
        for view in config.views:
            np.testing.assert_array_equal(getattr(whole, name)[view], getattr(thinned, name)[view], name)
    for view, of_videos in sequences[0].items():
        for video_id, sequence in of_videos.items():
            twin = sequences[1][view][video_id]
            np.testing.assert_array_equal(sequence.blocks, twin.blocks)
            assert sequence.duration_seconds == twin.duration_seconds
