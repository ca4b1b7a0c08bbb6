"""Embeddings of whole videos, and statistics for networks that were never trained."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cocon.core.errors import CoconError, MismatchError, VideoError
from cocon.embedding.contract import EncoderSpec
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.evaluation.recognition import blocks
from cocon.training.evaluation.recognition.blocks import ClipProtocol
from cocon.training.evaluation.recognition.features import calibrate_batch_norm, video_features
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.training.run_folder.files import RunFolder
from cocon.video.clips import grid_indices
from cocon.video.reading.reader import VideoSource
from cocon.video.store.dataset import DatasetFolder
from cocon.video.views import VIEWS

MakeConfig = Callable[..., Config]


def _frames(config: Config, split: str = "test") -> VideoFrames:
    entries = DatasetFolder.open(config.data.folder).split(split)
    return VideoFrames(entries, config.data.folder, view_requests(config), cache_gib=1.0)


def _silent(done: int, total: int | None) -> None:
    pass


def _corners(height: int, width: int) -> list[tuple[int, int]]:
    """Top and left of five crops of 24 pixels."""
    bottom, right = height - 24, width - 24
    return [(bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right)]


def _untrained() -> Encoder:
    torch.manual_seed(0)
    return build_encoder(EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4), VIEWS["rgb"])


def test_a_videos_embedding_is_the_mean_of_those_a_served_model_gives(trained: Path, tiny_config: MakeConfig) -> None:
    config = tiny_config()
    loaded = {view: RunFolder.open(trained).encoder(view) for view in config.views}
    encoders = {view: encoder for view, (encoder, _) in loaded.items()}
    contracts = {view: contract for view, (_, contract) in loaded.items()}
    frames = _frames(config)
    features = video_features(loaded, frames, on_progress=_silent)
    assert features.labels.tolist() == [entry.label for entry in frames.entries]
    assert features.groups.tolist() == [entry.group for entry in frames.entries]
    assert features.entries == frames.entries
    assert features.classes == contracts["rgb"].labels
    for number in (0, 5):
        source = VideoSource(frames.entries[number].path, config.clip.spec(), view_requests(config), hop=2)
        clips = list(source.clips())
        assert len(clips) == 6  # 15 grid frames: windows of 6 from 0, 2, 4, 6, 8 and 9
        for view, encoder in encoders.items():
            with torch.no_grad():
                stacked = torch.from_numpy(np.stack([clip.pixels[view] for clip in clips]))
                outputs = encoder(stacked)
            mean = outputs.embedding.numpy().mean(axis=0)
            assert features.embeddings[view][number] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
            softmax = torch.softmax(outputs.logits, dim=1).numpy().mean(axis=0)
            assert features.probabilities[view][number] == pytest.approx(softmax, abs=1e-5)


@pytest.mark.parametrize("batch_size", [5, blocks._BATCH_SIZE])
@pytest.mark.parametrize(
    ("protocol", "starts"),
    [
        (ClipProtocol(num_crops=10, hop_blocks=3), (0, 6, 9)),  # hops of 6 frames, and one clip to the end
        (ClipProtocol(num_crops=10, num_clips=4), (0, 3, 6, 9)),
        (ClipProtocol(num_crops=10, num_clips=1), (4,)),
    ],
)
def test_crops_and_clips_are_averaged(
    trained: Path,
    tiny_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    protocol: ClipProtocol,
    starts: tuple[int, ...],
    batch_size: int,
) -> None:
    monkeypatch.setattr(blocks, "_BATCH_SIZE", batch_size)
    config = tiny_config("views=['rgb']")
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    frames = _frames(config)
    features = video_features(
        {"rgb": (encoder, contract)},
        frames,
        on_progress=_silent,
        protocol=protocol,
    )
    video = frames[2].views["rgb"]
    assert video.pixels is not None
    grid = grid_indices(video.timestamps, config.clip.spec())
    seen = [video.pixels[grid[start : start + 6]] for start in starts]  # of 15 grid frames
    crops = [
        shown[:, top : top + 24, left : left + 24]
        for shown in seen
        for top, left in _corners(video.height, video.width)
    ]
    crops += [crop[:, :, ::-1] for crop in crops]
    clips = torch.from_numpy(np.stack(crops).reshape(-1, 3, 2, 24, 24, 3))
    with torch.no_grad():
        outputs = encoder(clips)
    mean = outputs.embedding.mean(dim=0)
    assert features.embeddings["rgb"][2] == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
    assert features.probabilities["rgb"][2] == pytest.approx(
        outputs.logits.softmax(dim=1).mean(dim=0).numpy(), abs=1e-5
    )


def test_videos_that_fail_or_have_no_label_are_left_out(
    figures_copy: Path, trained: Path, tiny_config: MakeConfig
) -> None:
    config = tiny_config(f"data.folder={figures_copy}", "views=['rgb']")
    manifest = figures_copy / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("figure_00008.mp4,bow,body_00012", "figure_00008.mp4,,"))
    (figures_copy / "videos" / "figure_00006.mp4").write_bytes(b"no video")
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    frames = _frames(config)
    done: list[tuple[int, int | None]] = []
    features = video_features(
        {"rgb": (encoder, contract)},
        frames,
        on_progress=lambda now, total: done.append((now, total)),
    )
    assert features.labels.tolist() == ["arm swing", "clap overhead", "jump", "jumping jack"]
    assert features.embeddings["rgb"].shape == (4, encoder.embedding_dim)
    assert list(frames.failures) == ["figure_00006"]
    assert done == [(count, 6) for count in range(1, 7)]


def test_a_split_of_which_no_labelled_video_can_be_read_is_refused(
    figures_copy: Path, trained: Path, tiny_config: MakeConfig
) -> None:
    manifest = figures_copy / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("figure_00008.mp4,bow,body_00012", "figure_00008.mp4,,"))
    for number in (6, 7, 9, 10, 11):
        (figures_copy / "videos" / f"figure_{number:05}.mp4").write_bytes(b"no video")
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    frames = _frames(tiny_config(f"data.folder={figures_copy}", "views=['rgb']"))
    with pytest.raises(VideoError, match="none of the videos that have a label can be read"):
        video_features({"rgb": (encoder, contract)}, frames, on_progress=_silent)


def test_views_whose_classifiers_know_other_classes_are_refused(trained: Path, tiny_config: MakeConfig) -> None:
    encoders = {view: RunFolder.open(trained).encoder(view) for view in ("rgb", "pose")}
    encoder, contract = encoders["pose"]
    encoders["pose"] = encoder, replace(contract, labels=contract.labels[::-1])
    with pytest.raises(MismatchError, match="views 'rgb' and 'pose' know different classes"):
        video_features(encoders, _frames(tiny_config()), on_progress=_silent)


def test_a_video_without_a_group_is_a_group_of_its_own(
    figures_copy: Path, trained: Path, tiny_config: MakeConfig
) -> None:
    manifest = figures_copy / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("body_00012", ""))
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    frames = _frames(tiny_config(f"data.folder={figures_copy}", "views=['rgb']"))
    features = video_features({"rgb": (encoder, contract)}, frames, on_progress=_silent)
    assert features.groups.tolist() == [f"figure_{number:05}" for number in range(6, 12)]


def test_calibration_gives_the_statistics_of_the_batches() -> None:
    encoder = _untrained()
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(0, 256, (2, 3, 2, 24, 24, 3), generator=generator, dtype=torch.uint8) for _ in range(3)]
    first = next(module for module in encoder.modules() if isinstance(module, nn.BatchNorm3d))
    seen: list[torch.Tensor] = []
    hook = first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    calibrate_batch_norm(encoder, batches)
    hook.remove()
    assert not encoder.training
    assert len(seen) == 3
    means = torch.stack([maps.mean(dim=(0, 2, 3, 4)) for maps in seen])
    variances = torch.stack([maps.var(dim=(0, 2, 3, 4)) for maps in seen])
    torch.testing.assert_close(first.running_mean, means.mean(dim=0))
    torch.testing.assert_close(first.running_var, variances.mean(dim=0))


def test_calibration_forgets_what_was_before_and_touches_no_weight() -> None:
    encoder, other = _untrained(), _untrained()
    for module in other.modules():
        if isinstance(module, nn.BatchNorm3d) and module.running_mean is not None:
            module.running_mean.fill_(7.0)
    batches = [torch.randint(0, 256, (2, 3, 2, 24, 24, 3), dtype=torch.uint8)]
    calibrate_batch_norm(encoder, batches)
    calibrate_batch_norm(other, batches)
    untouched = dict(_untrained().named_parameters())
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
        assert name not in untouched or torch.equal(tensor, untouched[name])


def test_an_encoder_whose_weights_are_not_finite_is_of_no_use(trained: Path, tiny_config: MakeConfig) -> None:
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    with torch.no_grad():
        next(encoder.parameters()).fill_(torch.nan)
    useless = (
        r"^what the encoder of view 'rgb' makes of video 'figure_00006' is not finite, nor are its weights \(backbone"
    )
    with pytest.raises(CoconError, match=useless):
        video_features({"rgb": (encoder, contract)}, _frames(tiny_config()), on_progress=_silent)
