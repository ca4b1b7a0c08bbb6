"""Logs of crashes: none is overwritten by the next server, and they fill no disk."""

from pathlib import Path

from cocon.serving.supervision.crash_logs import keep_log, kept_logs


def test_a_log_is_moved_aside_and_only_the_newest_five_stay(tmp_path: Path) -> None:
    log, other = tmp_path / "serve-8001.log", tmp_path / "serve-80011.log"
    other.write_text("of another port")
    for number in range(7):
        log.write_text(f"crash {number}")
        kept = keep_log(log)
        assert kept is not None and kept_logs(log)[0] == kept
        assert not log.exists()
    assert [path.read_text() for path in kept_logs(log)] == [f"crash {number}" for number in (6, 5, 4, 3, 2)]
    assert other.read_text() == "of another port"


def test_there_may_be_no_log(tmp_path: Path) -> None:
    assert keep_log(tmp_path / "serve-8001.log") is None
    assert kept_logs(tmp_path / "serve-8001.log") == []
