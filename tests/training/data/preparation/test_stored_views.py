"""All views of all videos are looked at in one round, and one command makes what is missing."""

import logging
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.core.errors import MissingViewError
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.loader import view_requests
from cocon.training.data.preparation.stored_views import check_views
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos
from cocon.training.loop.run import train_run
from cocon.video.store.files import view_path

MakeConfig = Callable[..., Config]
Outcome = tuple[int, str, str]


def _config(make: MakeConfig, root: Path, *settings: str) -> Config:
    return make(f"data.folder='{root}'", "views=['rgb', 'flow', 'pose', 'mask']", *settings)


def _check(config: Config, *, is_trained: bool = True) -> None:
    dataset = open_dataset(config.data)
    check_views(dataset.split("train"), dataset.root, view_requests(config), config.data, is_trained=is_trained)


def _remove(root: Path, view: str, pattern: str = "*.npz") -> None:
    for path in (root / "views" / view).glob(pattern):
        path.unlink()


def test_what_suits_is_no_news(figures: Path, tiny_config: MakeConfig, caplog: pytest.LogCaptureFixture) -> None:
    _check(_config(tiny_config, figures))
    assert caplog.messages == []


def test_flow_that_is_not_stored_is_made_and_no_news(figures_copy: Path, tiny_config: MakeConfig) -> None:
    _remove(figures_copy, "flow")
    _check(_config(tiny_config, figures_copy))


def test_training_names_all_that_is_missing_with_one_command(
    figures_copy: Path, tiny_config: MakeConfig, progress_bar: Callable[..., object], tmp_path: Path
) -> None:
    _remove(figures_copy, "pose")
    _remove(figures_copy, "mask", "*00000.npz")
    config = _config(tiny_config, figures_copy, "flow.size_px=40")
    with pytest.raises(MissingViewError) as caught:
        train_run(config, tmp_path / "run", overwrite=False, progress_bar=progress_bar)  # type: ignore[arg-type]
    command = f"cocon views make {shlex.quote(str(figures_copy))} --view flow,pose,mask"
    options = "--flow-interval-s 0.0666666667 --flow-size-px 40 --flow-algorithm dis --overwrite"
    assert str(caught.value) == (
        "view 'flow' measures another flow for 6 of 6 videos (size 32 px, not 40 px); "
        "view 'pose' is not stored for 6 of 6 videos; view 'mask' is not stored for 1 of 6 videos; "
        f"make all that is missing: {command} {options}; "
        "or train on the flow that is there: --set flow.size_px=32"
    )


def test_the_command_makes_it(figures_copy: Path, tiny_config: MakeConfig, cocon: Callable[..., Outcome]) -> None:
    config = _config(tiny_config, figures_copy, "flow.size_px=40", "views=['rgb', 'flow']")
    with pytest.raises(MissingViewError) as caught:
        _check(config)
    command = str(caught.value).partition("missing: ")[2].partition(";")[0]
    code, _, errors = cocon(*shlex.split(command)[1:], "--quiet")
    assert (code, errors) == (0, "")
    _check(config)


def test_the_settings_that_are_offered_suit_what_is_there(figures: Path, tiny_config: MakeConfig) -> None:
    with pytest.raises(MissingViewError) as caught:
        _check(_config(tiny_config, figures, "flow.size_px=40", "flow.interval_seconds=0.2"))
    settings = str(caught.value).partition("is there: ")[2].split("--set ")[1:]
    assert len(settings) == 2
    _check(_config(tiny_config, figures, *map(str.strip, settings)))


def test_few_that_may_be_left_out_are_said(
    figures_copy: Path, tiny_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    _remove(figures_copy, "pose", "*00000.npz")
    view_path(figures_copy, "mask", "figure_00000").write_bytes(b"cut")
    with caplog.at_level(logging.WARNING):
        _check(_config(tiny_config, figures_copy, "data.max_failed_share=0.2"))
    (message,) = caplog.messages
    assert message.startswith("view 'pose' is not stored for 1 of 6 videos; view 'mask' is damaged for 1 of 6 videos; ")
    with pytest.raises(MissingViewError):
        _check(_config(tiny_config, figures_copy, "data.max_failed_share=0.1"))


def test_judging_goes_on_with_those_that_have_all(
    figures_copy: Path, tiny_config: MakeConfig, progress_bar: Callable[..., object]
) -> None:
    _remove(figures_copy, "pose", "*00000.npz")
    EvaluationVideos(_config(tiny_config, figures_copy), progress_bar=progress_bar)  # type: ignore[arg-type]
    _remove(figures_copy, "mask", "*00001.npz")
    with pytest.raises(MissingViewError) as caught:
        config = _config(tiny_config, figures_copy, "flow.size_px=40")
        EvaluationVideos(config, progress_bar=progress_bar)  # type: ignore[arg-type]
    told = str(caught.value)
    assert told.startswith("view 'flow' measures another flow for 12 of 12 videos (size 32 px, not 40 px); view 'pose'")
    assert f"make all that is missing: cocon views make {shlex.quote(str(figures_copy))} --view flow,pose,mask" in told
    assert "train on" not in told
