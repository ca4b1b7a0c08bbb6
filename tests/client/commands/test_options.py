"""What several commands take: refused before any work is done."""

from pathlib import Path

import pytest

from cocon.client.commands.options import EmbedderOptions
from cocon.core.errors import UsageError
from tests.client.conftest import Client


def test_a_profile_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (video := tmp_path / "mine.mp4").write_bytes(b"film")
    for output in (tmp_path, video, Path("/dev/null/profile.json")):
        with pytest.raises(UsageError, match="--profile-output"):
            EmbedderOptions(profile_output=output).settings()


def test_a_profile_is_not_written_over_what_a_search_writes_or_reads(client: Client, tmp_path: Path) -> None:
    (query := tmp_path / "query.npy").write_bytes(b"")
    for arguments in (("--output", "same.json", "--profile-output", "same.json"), ("--profile-output", query)):
        finished = client("search", query, *arguments)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert "profile-output" in finished.stderr
