"""What cannot be judged is said before any video is read."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from cocon.core.errors import MissingViewError, UsageError
from cocon.core.progress import OnProgress
from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.compared_runs import compare_runs
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos
from cocon.training.evaluation.recognition.result import DEFAULT_OPTIONS
from cocon.training.run_folder.files import RunFolder

pytestmark = pytest.mark.training

MakeConfig = Callable[..., Config]


def _nothing_is_read(description: str, unit: str = "videos") -> AbstractContextManager[OnProgress]:
    raise AssertionError(description)


def test_a_run_without_any_of_the_judged_views_is_refused(
    tiny_config: MakeConfig, trained: Path, trained_copy: Path, cocon: Callable[..., tuple[int, str, str]]
) -> None:
    shutil.rmtree(trained_copy / "views" / "rgb")
    videos = EvaluationVideos(tiny_config(), progress_bar=_nothing_is_read, views=["rgb"])
    runs = [RunFolder.open(trained), RunFolder.open(trained_copy), RunFolder.open(trained)]
    with pytest.raises(UsageError, match=r"has no encoder of the views that are judged \(rgb\); it has: pose"):
        compare_runs(runs, videos, DEFAULT_OPTIONS, has_random=True)
    code, _, errors = cocon("evaluate", trained, "--baseline", trained_copy, "--view", "rgb")
    assert (code, errors.count("\n")) == (2, 1)


def test_a_baseline_whose_stored_view_suits_of_no_video_is_refused(tiny_config: MakeConfig, trained: Path) -> None:
    videos = EvaluationVideos(tiny_config("flow.interval_seconds=0.3"), progress_bar=_nothing_is_read)
    with pytest.raises(MissingViewError, match="flow"):
        compare_runs([RunFolder.open(trained)], videos, DEFAULT_OPTIONS, has_random=True, baselines=["flow-histogram"])
