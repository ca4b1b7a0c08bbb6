"""What variants are calibrated and judged on: the run's videos, or figures where they are gone."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.export.artefacts.variant_clips import clips_for_variants
from cocon.export.sources import ViewSource
from cocon.training.config.run import Config
from cocon.training.figures.figures import make_figures
from cocon.training.figures.settings import FigureSettings
from cocon.training.run_folder.files import RunFolder

MakeSource = Callable[..., ViewSource]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six training and six test videos of a second, in which two clips overlap."""
    root = tmp_path_factory.mktemp("films")
    make_figures(root, FigureSettings(num_videos=12, seconds=1.0, size_px=48, view_size_px=32), workers=1)
    return root


def run_on(data: Path, folder: Path) -> RunFolder:
    (folder / "config.toml").write_text(Config.model_validate({"data": {"folder": str(data)}}).to_toml())
    return RunFolder.open(folder)


def rewritten(data: Path, root: Path, **columns: str) -> Path:
    """A set of the same videos, whose manifest says something else."""
    with (data / "manifest.csv").open(newline="") as stream:
        rows = [row | columns | {"path": str(data / row["path"])} for row in csv.DictReader(stream)]
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def test_test_videos_ask_for_training_videos(data: Path, make_source: MakeSource, tmp_path: Path) -> None:
    contract = make_source("mask").contract
    clips = clips_for_variants(run_on(data, tmp_path), contract)
    assert clips.source == f"videos of '{data.name}'"
    calibration = clips.calibration()
    assert calibration.shape == (6, *contract.clip_shape) and calibration.dtype == np.uint8
    assert len({clip.tobytes() for clip in calibration}) == 6
    judged = list(clips.judged())
    assert [video.is_query for video in judged] == 6 * [True, False]
    assert all(video.label for video in judged)
    assert {video.clips.shape for video in judged} == {(2, *contract.clip_shape)}
    # Nothing that was calibrated on asks.
    asked = {clip.tobytes() for video in judged if video.is_query for clip in video.clips}
    assert not asked & {clip.tobytes() for clip in calibration}
    assert [video.label for video in clips.judged()] == [video.label for video in judged]


def test_without_test_videos_half_of_the_groups_asks(data: Path, make_source: MakeSource, tmp_path: Path) -> None:
    root = rewritten(data, tmp_path / "all_train", split="train")
    judged = list(clips_for_variants(run_on(root, tmp_path), make_source("rgb").contract).judged())
    assert len(judged) == 12
    asking, asked = ({video.group for video in judged if video.is_query is asks} for asks in (True, False))
    assert asking and asked and not asking & asked


def test_without_labels_nobody_asks(data: Path, make_source: MakeSource, tmp_path: Path) -> None:
    root = rewritten(data, tmp_path / "unlabelled", label="")
    judged = list(clips_for_variants(run_on(root, tmp_path), make_source("rgb").contract).judged())
    assert len(judged) == 12
    assert not any(video.label for video in judged)


def test_what_cannot_be_read_is_left_out_and_gone_videos_are_drawn(
    data: Path, make_source: MakeSource, tmp_path: Path
) -> None:
    contract = make_source("rgb").contract
    root = rewritten(data, tmp_path / "damaged")
    rows = (root / "manifest.csv").read_text()
    (tmp_path / "no_video.mp4").write_bytes(b"no video")
    first = next(csv.DictReader(rows.splitlines()))["path"]
    (root / "manifest.csv").write_text(rows.replace(first, str(tmp_path / "no_video.mp4")))
    assert len(list(clips_for_variants(run_on(root, tmp_path), contract).judged())) == 11

    drawn = clips_for_variants(run_on(tmp_path / "gone", tmp_path), contract)
    assert "generated figures" in drawn.source
    assert len(drawn.calibration()) == 8
    judged = list(drawn.judged())
    assert len(judged) == 24 and not any(video.label for video in judged)
    assert not {video.clips.tobytes() for video in judged} & {clip.tobytes() for clip in drawn.calibration()}
