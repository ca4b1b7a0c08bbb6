"""Judging on what is held out: never trained on, and without a trace in what is trained."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cocon.training.config.run import Config
from cocon.training.data.stretches.opening import TrainingVideos, training_frames
from cocon.training.loop.verdict.held_out import HeldOut
from cocon.training.methods.building import build_method
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
SHARE = "training.held_out_share=0.15"


def _videos(config: Config, held_out: list[str] | None = None) -> TrainingVideos:
    return training_frames(config, DatasetFolder.open(config.data.folder), held_out=held_out)


def test_what_is_held_out_is_not_trained_on_and_judges_every_view(many: Path, tiny_config: MakeConfig) -> None:
    config = tiny_config(f"data.folder={many}", SHARE)
    videos = _videos(config)
    assert videos.held_out is not None
    held = {entry.video_id for entry in videos.held_out.entries}
    assert held == {*videos.set_aside} and videos.judged_on == f"{len(held)} held-out training videos"
    assert not held & {entry.video_id for entry in videos.train.entries}
    assert len(held) + len(videos.train) == 48
    encoders = build_method(config).encoders
    before, numbers = {view: encoder.state_dict() for view, encoder in encoders.items()}, torch.get_rng_state()
    judge = HeldOut(config, videos.train.for_judging(), videos.held_out, videos.judged_on)
    figures = judge.figures(encoders)
    for row in ("rgb", "pose", "ensemble"):
        assert 0 <= figures[f"probe_top1/{row}"] <= 100 and 0 <= figures[f"R@1/{row}"] <= 100
    assert figures == judge.figures(encoders)
    assert torch.equal(numbers, torch.get_rng_state()) and encoders["rgb"].training
    for view, encoder in encoders.items():
        assert all(torch.equal(tensor, before[view][name]) for name, tensor in encoder.state_dict().items())


def test_split_val_judges_and_then_nothing_is_set_aside(many: Path, tiny_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "videos").symlink_to(many / "videos")
    (tmp_path / "views").symlink_to(many / "views")
    lines = (many / "manifest.csv").read_text().splitlines()
    of_val = [line.removesuffix("train") + "val" if "_3," in line else line for line in lines]
    (tmp_path / "manifest.csv").write_text("\n".join(of_val))
    videos = _videos(tiny_config(f"data.folder={tmp_path}", SHARE))
    assert videos.held_out is not None
    assert (len(videos.train), len(videos.held_out), videos.set_aside) == (36, 12, ())
    assert videos.judged_on == "12 videos of split 'val'"


def test_a_run_that_goes_on_holds_out_what_it_began_with(
    many: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    config = tiny_config(f"data.folder={many}", SHARE, "training.epochs=1", "training.batch_size=16", "views=['pose']")
    assert train_tiny(config, tmp_path)
    run = RunFolder.open(tmp_path)
    assert run.held_out == [*_videos(config).set_aside]
    assert json.loads((tmp_path / "complete.json").read_text())["held_out"] == len(run.held_out)
    of_before = _videos(config, held_out=[])  # begun by a release that held nothing out
    assert (len(of_before.train), of_before.held_out) == (48, None)


@pytest.mark.parametrize("setting", ["training.held_out_share=0", "training.epochs=0"])
def test_where_nothing_is_asked_for_or_trained_nothing_is_held_out(
    setting: str, many: Path, tiny_config: MakeConfig
) -> None:
    videos = _videos(tiny_config(f"data.folder={many}", SHARE, setting))
    assert (len(videos.train), videos.held_out, videos.judged_on) == (48, None, "")
