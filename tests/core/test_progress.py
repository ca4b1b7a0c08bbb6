"""The progress bar stays out of the way where nobody watches."""

import pytest

from cocon.core.progress import progress_bar


@pytest.mark.parametrize("is_quiet", [False, True])
def test_nothing_is_written_where_stderr_is_no_terminal(is_quiet: bool, capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("embedding", is_quiet=is_quiet) as report:
        report(1, None)
        report(2, 3)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_what_is_done_of_how_much_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("embedding") as report:
        report(2, 3)
    output, errors = capfd.readouterr()
    assert output == ""
    assert "embedding" in errors
    assert "2/3" in errors
