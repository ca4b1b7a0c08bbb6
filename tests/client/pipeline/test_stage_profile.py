"""Where the time went: what is counted adds up, in a table or as JSON."""

import json
import time
from pathlib import Path

import pytest

from cocon.client import VideoEmbedder
from cocon.client.models.served_work import ServedWork
from cocon.client.pipeline.stage_profile import Profile, tell_profile
from cocon.core.errors import MismatchError

_NOTHING = ServedWork(0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _work_for(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_stages_of_this_process_and_of_workers_are_summed() -> None:
    profile = Profile(num_cores=2)
    profile.opened(is_waited=False)
    for _ in range(2):
        with profile.asking():
            _work_for(0.02)
    with profile.here("pack"):
        _work_for(0.01)
    profile.told({"decode": 1.5, "views": 0.5, "pack": 0.25})
    profile.told({"decode": 1.5})
    stages = profile.conclude()["stages"]
    assert 0.04 <= stages["compute"] < 0.2
    assert 0.26 <= stages["pack"] < 0.4
    assert (stages["decode"], stages["views"], stages["send"], stages["queue"]) == (3.0, 0.5, 0.0, 0.0)


def test_of_what_a_server_does_the_rest_of_the_waiting_is_the_way() -> None:
    done = [_NOTHING]
    profile = Profile(num_cores=2)
    profile.opened(is_waited=True, served=lambda: [done[-1]])
    with profile.asking():
        time.sleep(0.2)
        done.append(ServedWork(1, 0, 4, 1, 0.1, 0.03, 0.01, 0.05, 0.01))
    stages = profile.conclude()["stages"]
    assert (stages["queue"], stages["compute"]) == (0.03, 0.07)
    assert stages["send"] >= 0.1


def test_a_profile_is_a_table_on_standard_error_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = Profile(num_cores=2)
    profile.opened(is_waited=False)
    found = profile.conclude()
    tell_profile(found, None)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split()[0] for line in printed.err.splitlines() if line.strip()][2:11] == list(found["stages"])
    tell_profile(found, tmp_path / "profile.json")
    assert json.loads((tmp_path / "profile.json").read_text()) == found


def test_that_a_server_has_other_models_by_now_does_not_spoil_what_was_done(
    repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def served() -> list[ServedWork]:
        if is_gone:
            raise MismatchError("model 'cocon_rgb' is gone")
        return []

    is_gone = False
    with VideoEmbedder(f"local:{repository}", profile="") as embedder:
        assert embedder._profile is not None
        embedder._profile.opened(is_waited=True, served=served)
        is_gone = True
    assert "is gone" in caplog.text


def test_who_interrupts_does_not_wait_for_a_profile(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), VideoEmbedder(f"local:{repository}", profile=""):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""
