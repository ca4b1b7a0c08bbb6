"""Where the clips of the parity gate come from when the videos of the run are gone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.export.artefacts.parity_clips import clips_of_run, figure_clips, moving_squares
from cocon.export.sources import ViewSource
from cocon.training.config.run import Config
from cocon.training.run_folder.files import RunFolder
from cocon.video.estimation.flow import FlowSpec

MakeSource = Callable[..., ViewSource]


@pytest.mark.parametrize("view", ["rgb", "flow", "pose", "mask"])
def test_without_data_figures_are_drawn_in_every_view(make_source: MakeSource, tmp_path: Path, view: str) -> None:
    contract = make_source(view).contract
    (tmp_path / "config.toml").write_text(Config.model_validate({"data": {"folder": "gone"}}).to_toml())
    clips = clips_of_run(RunFolder.open(tmp_path), contract)
    assert clips.shape == (3, *contract.clip_shape)
    assert np.array_equal(clips, figure_clips(contract))
    assert len({clip.tobytes() for clip in clips}) == 3
    frames = clips.reshape(3, -1, *contract.clip_shape[2:])
    assert all((np.abs(np.diff(video.astype(int), axis=0)) > 0).any() for video in frames)  # they move
    if view in ("pose", "mask"):  # a figure on nothing
        assert 0 < np.count_nonzero(clips) < clips.size / 2
        assert clips.max() > 200


def test_a_flow_that_is_not_drawn_is_replaced_by_squares(make_source: MakeSource) -> None:
    contract = replace(make_source("flow").contract, flow=FlowSpec(interval_seconds=0.5))
    assert np.array_equal(figure_clips(contract), moving_squares(contract, 3))
