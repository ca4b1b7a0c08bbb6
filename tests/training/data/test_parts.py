"""Parts of a video as a manifest names them, from training's batches to evaluation's features."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, view_requests
from cocon.training.evaluation.recognition.features import video_features
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder

MakeConfig = Callable[..., Config]

# Seconds; the picture is black outside of both parts.
GREY = {"dark": (1.0, 2.0, 80), "bright": (2.5, 3.5, 220)}


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A film of four seconds, and a manifest with two parts of it."""
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "10", "bf": "0"})
        stream.width = stream.height = 48
        stream.pix_fmt = "yuv420p"
        for index in range(120):
            seconds = index / 30
            (value, *_) = [grey for start, end, grey in GREY.values() if start - 1e-6 <= seconds < end - 1e-6] or [0]
            frame = av.VideoFrame.from_ndarray(np.full((48, 48, 3), value, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    rows = [f"film.mp4,{label},{start},{end},train" for label, (start, end, _) in GREY.items()]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label,start_seconds,end_seconds,split", *rows]) + "\n")
    return tmp_path


def test_clips_and_features_are_of_the_part_alone(parted: Path, tiny_config: MakeConfig, trained: Path) -> None:
    config = tiny_config(
        f"data.folder='{parted}'", "views=['rgb']", "augment.gain=0", "augment.rgb_colour=0", "training.batch_size=2"
    )
    entries = DatasetFolder.open(parted).split("train")
    frames = VideoFrames(entries, parted, view_requests(config), cache_gib=1.0)
    labels = [entry.label for entry in entries]
    for batch in clip_batches(frames, config, labels, first_step=0, num_steps=6):
        for clip, target in zip(batch["clips"]["rgb"], batch["targets"].tolist(), strict=True):
            wanted = GREY[labels[target]][2]
            assert (clip.float() - wanted).abs().max() <= 3, "a clip reaches beyond its part"
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    features = video_features({"rgb": (encoder, contract)}, frames, on_progress=lambda done, total: None)
    assert features.labels.tolist() == list(GREY) and len(set(features.groups.tolist())) == 1
    for row, (_, _, grey) in enumerate(GREY.values()):
        clip = torch.full((1, *contract.clip_shape), grey, dtype=torch.uint8)
        with torch.no_grad():
            alike = float(encoder(clip).embedding[0] @ torch.from_numpy(features.embeddings["rgb"][row]))
        assert alike == pytest.approx(1.0, abs=1e-3)
