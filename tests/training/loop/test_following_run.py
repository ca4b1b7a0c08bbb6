"""A run that follows people: trained, judged and described as such, and told from one that does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos, judged_views, run_features
from cocon.training.run_folder.files import RunFolder
from cocon.video.following.rule import Following

pytestmark = pytest.mark.training

MakeConfig = Callable[..., Config]


def test_a_run_follows_people_in_training_and_evaluation_and_says_so(
    tiny_config: MakeConfig, train_tiny: Callable[..., bool], tmp_path: Path, progress_bar: Callable[[str], object]
) -> None:
    config = tiny_config("following.by=mask", "training.epochs=1", "classifier.epochs=1")
    assert train_tiny(config, tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    assert run.config.following == config.following
    for view in ("rgb", "pose"):
        contract = run.contract(view)
        assert contract.geometry.following == Following("mask")
        assert contract.people_by == ("blazepose-full r1 (mediapipe 0.10)",) or contract.people_by == ()
    videos = EvaluationVideos(run.config, progress_bar=progress_bar)  # type: ignore[arg-type]
    features = run_features(run, videos)
    assert features["test"].embeddings["rgb"].shape[0] == 6
    others = EvaluationVideos(tiny_config(), progress_bar=progress_bar)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="other views, clips or geometry"):
        judged_views(run, others)
