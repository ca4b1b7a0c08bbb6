"""At the end it is said plainly what training was good for, and kept beside the run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.result import EvaluationResult, MetricOptions, evaluate_features
from cocon.training.loop.run import train_run
from cocon.training.loop.verdict.verdict import judged
from cocon.training.run_folder.files import RunFolder
from tests.training.conftest import silent_bar

MakeConfig = Callable[..., Config]
CLASSES = ("bow", "jump", "wave")


def _result(share_right: float, *, number: int = 60) -> EvaluationResult:
    """Of encoders by which so many videos lie with their class, and the others with the next one."""
    rng = np.random.default_rng(0)
    truth = np.arange(number) % len(CLASSES)

    def features(shown: np.ndarray) -> VideoFeatures:
        vectors = np.eye(len(CLASSES))[shown] + 0.05 * rng.standard_normal((number, len(CLASSES)))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        labels = np.array(CLASSES)[truth]
        return VideoFeatures({"rgb": vectors.astype(np.float32)}, labels, np.array([f"g{i}" for i in range(number)]))

    is_wrong = rng.permutation(number) >= share_right * number
    split = {"train": features(truth), "test": features(np.where(is_wrong, (truth + 1) % len(CLASSES), truth))}
    return evaluate_features(split, "any", MetricOptions(ensembles=()))


def test_a_gain_over_both_is_said_with_its_error() -> None:
    verdict = judged({"untrained": _result(0.3), "start": _result(0.5), "trained": _result(0.9)}, "60 videos")
    assert [gain.over for gain in verdict.gains] == ["untrained", "start"]
    assert verdict.gains[0].points == pytest.approx(60, abs=3) and 3 < verdict.gains[0].standard_error < 10
    assert [line.split(":")[0] for line in verdict.conclusions] == ["better than untrained", "better than its start"]
    assert verdict.figures["trained"]["rgb"]["R@1"] == pytest.approx(90, abs=2)


def test_where_nothing_is_gained_it_is_said_and_what_to_try() -> None:
    verdict = judged({"untrained": _result(0.6), "start": _result(0.9), "trained": _result(0.6)}, "60 videos")
    untrained, start = verdict.conclusions
    assert untrained.startswith("no better than untrained: +0.0 ± ") and "--init-from" in untrained
    assert start.startswith("worse than its start: -3") and "; its start is the better one; train on more gent" in start


@pytest.mark.parametrize(("share", "may", "keeps"), [(0.6, True, True), (0.6, False, False), (0.88, True, False)])
def test_a_start_is_kept_where_trained_encoders_are_worse_by_more_than_the_error(
    share: float, may: bool, keeps: bool
) -> None:
    results = {"untrained": _result(0.3), "start": _result(0.9), "trained": _result(share)}
    verdict = judged(results, "60 videos", may_keep_start=may)
    assert verdict.keeps_start == verdict.to_dict()["keeps_start"] == keeps
    assert ("the encoders that it began with are kept" in verdict.conclusions[1]) == keeps


def test_the_table_has_a_line_for_each_view() -> None:
    verdict = judged({"untrained": _result(0.3), "trained": _result(0.9)}, "60 held-out training videos")
    head, names, row, _ = verdict.lines()
    assert head == "on 60 held-out training videos, probe top-1 / R@1 in %:"
    assert names.split() == ["untrained", "trained"]
    assert row.split()[0] == "rgb" and row.count("/") == 2


def test_a_run_ends_with_its_verdict_beside_its_start(
    many: Path, trained: Path, tiny_config: MakeConfig, tmp_path: Path
) -> None:
    settings = [f"data.folder={many}", "training.held_out_share=0.15", "training.epochs=1", "training.batch_size=16"]
    config, said = tiny_config(*settings, f"training.init_from={trained}"), list[str]()
    assert train_run(config, tmp_path, overwrite=False, progress_bar=silent_bar, say=said.append)
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert {(row["network"], row["view"]) for row in verdict["rows"]} == {
        (network, view) for network in ("untrained", "start", "trained") for view in ("rgb", "pose", "ensemble")
    }
    first = next(
        index for index, line in enumerate(said) if line == f"on {verdict['judged_on']}, probe top-1 / R@1 in %:"
    )
    assert [line.split()[0] for line in said[first + 1 : first + 5]] == ["untrained", "rgb", "pose", "fused"]
    assert said[first + 5 : first + 7] == verdict["conclusions"]
    assert any(line.startswith("judged at the end on") and "not trained on" in line for line in said)


@pytest.mark.parametrize("guard", [True, False])
def test_a_run_that_spoils_its_encoders_keeps_those_it_began_with(
    guard: bool, many: Path, tiny_config: MakeConfig, tmp_path: Path
) -> None:
    settings = [f"data.folder={many}", "training.held_out_share=0.15", "training.epochs=1", "training.batch_size=16"]
    first = RunFolder(tmp_path / "first", tiny_config(*settings, "classifier.head=none"))
    assert train_run(first.config, first.path, overwrite=False, progress_bar=silent_bar)
    spoiled = ["optimizer.learning_rate=1", "training.start_warmup_steps=0", "classifier.epochs=1"]
    again = [f"training.init_from={first.path}", f"training.guard={str(guard).lower()}", "classifier.head=gru"]
    said = list[str]()
    config = tiny_config(*settings, *spoiled, *again, "method=cpc")
    assert train_run(config, tmp_path / "spoiled", overwrite=False, progress_bar=silent_bar, say=said.append)
    run, verdict = RunFolder.open(tmp_path / "spoiled"), json.loads((tmp_path / "spoiled/verdict.json").read_text())
    assert verdict["gains"][1]["over"] == "start" and -verdict["gains"][1]["points"] > 5
    own, start = (of.encoder("rgb")[0].backbone.state_dict() for of in (run, first))
    assert all(torch.equal(own[name], start[name]) for name in start) == guard == verdict["keeps_start"]
    assert run.contract("rgb").method == ("cocon" if guard else "cpc")
    assert (run.length.ended_by, run.length.steps) == (("start", 0) if guard else ("plan", 2))
    assert any("the encoders that it began with are kept" in line for line in said) == guard
