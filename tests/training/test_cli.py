"""`cocon train`: what it prints, and how it ends when something is wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.training.config.run import Config

MakeConfig = Callable[..., Config]
Outcome = tuple[int, str, str]


@pytest.fixture
def tiny_file(tiny_config: MakeConfig, tmp_path: Path) -> Path:
    """A tiny configuration as a file."""
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_config().to_toml())
    return path


def _assert_refused(outcome: Outcome, *parts: str) -> None:
    code, output, errors = outcome
    assert (code, output) == (2, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    for part in parts:
        assert part in errors


def test_training_prints_what_it_made_and_does_nothing_the_second_time(
    cocon: Callable[..., Outcome], tiny_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    trained = ("--set", "classifier.head=gru")  # and not fitted at once
    arguments = ("train", "--config", tiny_file, "--output", run, "--method", "cpc", "--seed", "3", *trained)
    code, output, errors = cocon(*arguments)
    assert (code, output) == (0, f"{run} trained cpc encoders of rgb, pose\n")
    uses, judged, *lines = errors.splitlines()
    assert judged == "not judged at the end: 6 labelled videos are fewer than 40"
    (pretraining, classifiers), told = (
        [line for line in lines if "about" in line],
        [line for line in lines if "about" not in line],
    )
    assert uses.startswith("cpc of rgb, pose on 6 videos: 6 steps in 2 epochs; cpu, 1 thread(s), 32-true, up to ")
    measured = r"about \d+ min for 2 epochs \(\S+ s a step, measured on steps {} of 6\)"
    assert re.fullmatch("pre-training: " + measured.format("3 to 5"), pretraining)
    assert re.fullmatch("training classifiers: " + measured.format("4 to 6"), classifiers)
    first, last = r"{}: epoch 1 of 2, loss \S+{}, \d+ s left", r"{}: epoch 2 of 2, loss \S+{}"
    accuracy = r", accuracy rgb \S+ %, pose \S+ %"
    expected = [
        form.format(*phase)
        for phase in (("pre-training", ""), ("training classifiers", accuracy))
        for form in (first, last)
    ]
    assert [bool(re.fullmatch(*pair)) for pair in zip(expected, told, strict=True)] == [True] * 4, told
    assert cocon(*arguments) == (0, f"{run} is complete already: cpc encoders of rgb, pose\n", "")
    text = (run / "config.toml").read_text()
    assert 'method = "cpc"' in text
    assert "seed = 3" in text


def test_a_run_whose_encoders_are_of_an_earlier_step_is_not_called_trained_alone(
    cocon: Callable[..., Outcome], tiny_file: Path, trained_copy: Path
) -> None:
    summary = json.loads((trained_copy / "complete.json").read_text())
    assert summary["length"] | {"classifier_epochs": 0} == {
        "epochs": 2, "classifier_epochs": 0, "steps": 6, "planned_steps": 6, "ended_by": "plan"
    }  # fmt: skip
    shorter = summary["length"] | {"steps": 3, "ended_by": "health"}
    (trained_copy / "complete.json").write_text(json.dumps(summary | {"length": shorter}))
    code, output, _ = cocon("train", "--config", tiny_file, "--output", trained_copy)
    assert (code, output) == (
        0,
        f"{trained_copy} is complete already, trained for 3 of 6 steps: cocon encoders of rgb, pose, the last healthy "
        "ones: embeddings collapsed after that\n",
    )


def test_another_configuration_is_refused_without_overwrite(
    cocon: Callable[..., Outcome], tiny_file: Path, trained_copy: Path
) -> None:
    arguments = ("train", "--config", tiny_file, "--output", trained_copy, "--set", "training.epochs=1")
    _assert_refused(cocon(*arguments), "training.epochs is 2, asked for 1", "--overwrite")
    code, output, _ = cocon(*arguments, "--overwrite")
    assert code == 0
    assert "trained cocon encoders" in output


def test_a_run_that_has_begun_is_refused_where_none_should_go_on(
    cocon: Callable[..., Outcome], tiny_file: Path, trained_copy: Path
) -> None:
    (trained_copy / "complete.json").unlink()
    arguments = ("train", "--config", tiny_file, "--output", trained_copy, "--resume")
    _assert_refused(cocon(*arguments, "never"), "has begun already", "--resume auto", "--overwrite")
    assert cocon(*arguments, "auto")[0] == 0
    _assert_refused(cocon(*arguments, "never"), "has begun already")
    assert cocon(*arguments, "never", "--overwrite")[0] == 0


def test_a_run_starts_from_the_encoders_of_another(
    cocon: Callable[..., Outcome], tiny_file: Path, trained: Path, tmp_path: Path
) -> None:
    arguments = ("train", "--config", tiny_file, "--output", tmp_path / "2", "--init-from")
    (tmp_path / "1").mkdir()
    _assert_refused(cocon(*arguments, tmp_path / "1"), "has no encoder of the views rgb, pose", "name the folder of a")
    likely = f"does not exist or is no folder; name the folder of a run; did you mean '{trained}'?"
    _assert_refused(cocon(*arguments, trained.with_name("traned")), "training.init_from", likely)
    assert cocon(*arguments, trained, "--set", "training.epochs=0")[0] == 0
    for path in trained.glob("views/*/contract.json"):
        ours, theirs = (json.loads(file.read_text()) for file in (tmp_path / "2" / path.relative_to(trained), path))
        assert ours["weights_sha256"] == theirs["weights_sha256"]


def test_an_unknown_preset_is_one_line(cocon: Callable[..., Outcome]) -> None:
    _assert_refused(cocon("train", "--preset", "none"), "preset 'none' is unknown; available: auto, demo, paper")
    _assert_refused(cocon("train", "--preset", "papr"), "preset 'papr' is unknown; ", "did you mean 'paper'?")


def test_all_wrong_settings_are_one_line(cocon: Callable[..., Outcome]) -> None:
    wrong = ("--set", "training.epoch=3", "--set", "model.width=-1", "--method", "cocoon")
    _assert_refused(cocon("train", *wrong), "did you mean 'training.epochs'?", "model.width (-1)", "method (cocoon)")


def test_a_missing_dataset_is_one_line_and_leaves_no_run_behind(cocon: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = cocon("train", "--data", tmp_path / "none", "--output", tmp_path / "run")
    _assert_refused(outcome, "none' does not exist", "cocon data make")
    assert not (tmp_path / "run").exists()


def test_a_dataset_may_be_called_by_a_number(
    cocon: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024").mkdir()
    _assert_refused(cocon("train", "--data", "2024"), "dataset folder '2024' has no videos")


def test_a_video_that_the_manifest_names_but_is_not_there_is_one_line(
    cocon: Callable[..., Outcome], tiny_file: Path, figures_copy: Path, tmp_path: Path
) -> None:
    (figures_copy / "videos" / "figure_00001.mp4").unlink()
    outcome = cocon("train", "--config", tiny_file, "--data", figures_copy, "--output", tmp_path / "run")
    _assert_refused(outcome, "figure_00001.mp4' does not exist")


def test_videos_that_fail_are_named_and_end_with_three_now_and_later(
    cocon: Callable[..., Outcome], tiny_file: Path, figures_copy: Path, tmp_path: Path
) -> None:
    (figures_copy / "videos" / "figure_00001.mp4").write_bytes(b"no video")
    command = ("train", "--config", tiny_file, "--data", figures_copy, "--output", tmp_path / "run")
    code, _, said = cocon(*command)
    assert (code, "1 of 6 training videos failed (16.7%)" in said, "Traceback" in said) == (3, True, False)
    assert not (tmp_path / "run" / "complete.json").exists()
    for state in ("trained", "is complete already:"):
        code, out, said = cocon(*command, "--set", "data.max_failed_share=0.2")
        assert (code, f"{tmp_path / 'run'} {state}" in out) == (3, True)
        assert "1 of 6 videos failed: 'figure_00001' (video '" in said


def test_an_output_that_is_no_run_is_refused(
    cocon: Callable[..., Outcome], tiny_file: Path, figures_copy: Path
) -> None:
    outcome = cocon("train", "--config", tiny_file, "--output", figures_copy, "--overwrite")
    _assert_refused(outcome, "is not empty and no run")
    assert (figures_copy / "manifest.csv").is_file()
