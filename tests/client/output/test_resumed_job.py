"""Rows of many videos that are gone on with after a stop, a kill or a full disk: each once, in order of the inputs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from cocon.client import VideoEmbedder
from cocon.client.output.resumed_job import open_job
from cocon.client.output.row_journal import RowJournal
from cocon.client.output.sinks import Format
from cocon.core.errors import StorageError, UsageError
from tests.client.conftest import Client, contract, make_repository, write_video
from tests.client.disturbed_job import read_rows
from tests.disks import full_disk

FORMATS: tuple[Format, ...] = ("jsonl", "json", "parquet", "npz")


def embed(
    embedder: VideoEmbedder,
    paths: Sequence[Path],
    output: Path,
    *,
    stops_after: int | None = None,
    overlap: float = 0.0,
) -> list[str]:
    """Embed into a file; gives the videos that were worked on."""
    chosen = next(chosen for chosen in FORMATS if output.suffix == f".{chosen}")
    worked_on: list[str] = []
    kept: list[int] = []
    choices = {"overlap": overlap}
    with open_job(chosen, output, columns=(), model=embedder.model, choices=choices, on_kept=kept.append) as job:
        for path in job.remaining(paths):
            if len(worked_on) == stops_after:
                raise KeyboardInterrupt
            video = embedder.embed(path)
            worked_on.append(Path(path).name)
            job.write(list(video.rows()), content_sha256=video.content_sha256)
    assert len(kept) + len(worked_on) == len(paths)
    return worked_on


def stopped(embedder: VideoEmbedder, paths: Sequence[Path], output: Path, *, after: int) -> Path:
    """The journal of a job that was stopped."""
    with pytest.raises(KeyboardInterrupt):
        embed(embedder, paths, output, stops_after=after)
    assert not output.exists()
    return output.with_name(f"{output.name}.partial")


@pytest.mark.parametrize("chosen", FORMATS)
def test_a_stopped_job_goes_on_and_gives_what_an_undisturbed_one_gives(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], chosen: Format
) -> None:
    whole, output = tmp_path / f"whole.{chosen}", tmp_path / f"rows.{chosen}"
    assert embed(embedder, videos[:4], whole) == ["v0.mp4", "v1.mp4", "v2.mp4", "v3.mp4"]
    journal = stopped(embedder, videos[:4], output, after=1)
    assert stopped(embedder, videos[:4], output, after=1) == journal
    assert embed(embedder, videos[:4], output) == ["v2.mp4", "v3.mp4"]
    assert read_rows(output) == read_rows(whole)
    assert chosen in ("parquet", "npz") or output.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"rows.{chosen}", f"whole.{chosen}"]


def test_what_is_finished_is_known_by_its_content_and_only_what_is_asked_for_is_written(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path]
) -> None:
    output = tmp_path / "rows.jsonl"
    stopped(embedder, videos[:3], output, after=2)
    renamed = Path(shutil.copy(videos[1], tmp_path / "renamed.mp4"))
    other = Path(shutil.copy(videos[2], tmp_path / "v0.mp4"))  # another content by the name of a finished one
    assert embed(embedder, [other, renamed], output) == ["v0.mp4"]
    rows = read_rows(output)
    assert [row[0] for row in rows] == [str(other)] * 5 + [str(renamed)] * 5
    assert [row[2] for row in rows[5:]] == [list(map(float, vector)) for vector in embedder.embed(videos[1]).embedding]


def test_a_video_that_was_being_written_is_done_again(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "rows.jsonl"
    journal = stopped(embedder, videos[:3], output, after=2)
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 1 + 2 * 6
    flipped = bytearray(whole)
    flipped[len(lines[0]) + 300] ^= 1  # in the rows of the first
    cases = [(whole[:length], 1) for length in (-1, -9, -len(lines[-1]), -len(lines[-1]) - 5)]
    cases += [
        (whole + b"\0" * 4096, 2),
        (whole + lines[1] + lines[2][:40], 2),
        (lines[0], 0),
        (lines[0][:9], 0),
        (b"", 0),
    ]
    for content, num_kept in [*cases, (bytes(flipped), 1)]:
        journal.write_bytes(content)
        assert len(embed(embedder, videos[:3], output)) == 3 - num_kept, content[-60:]
        assert [row[:2] for row in read_rows(output)] == [
            (str(video), clip) for video in videos[:3] for clip in range(5)
        ]
    assert caplog.text.count(f"videos in '{journal}' are damaged, and are done again: 1") == 1


def test_rows_by_other_options_are_put_aside(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "rows.jsonl"
    journal = stopped(embedder, videos[:2], output, after=1)
    before = journal.read_bytes()
    assert len(embed(embedder, videos[:2], output, overlap=0.5)) == 2
    assert (
        f"'{journal}' held rows of another model, or by other options; they are in '{journal}.before' now"
        in caplog.text
    )
    assert (tmp_path / "rows.jsonl.partial.before").read_bytes() == before
    journal.write_text("what somebody else has called so\n")
    assert len(embed(embedder, videos[:2], output)) == 2
    assert (tmp_path / "rows.jsonl.partial.before").read_bytes() == before
    assert (tmp_path / "rows.jsonl.partial.before2").read_text() == "what somebody else has called so\n"


def test_what_is_no_journal_is_not_read_through(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.partial"
    path.write_text("what somebody else has called so\n")
    os.truncate(path, 1 << 28)
    with Path("/proc/self/io").open() as told:

        def num_read() -> int:
            told.seek(0)
            return int(told.read().split()[1])

        before = num_read()
        RowJournal(path, {}).close()
        assert num_read() - before < 1 << 24
    assert path.with_name(f"{path.name}.before").stat().st_size == 1 << 28


def test_a_job_that_follows_versions_keeps_the_rows_of_all_of_them(tmp_path: Path) -> None:
    output, kept = tmp_path / "rows.jsonl", list[int]()
    video = write_video(tmp_path / "video.mp4", seed=1, num_frames=30)
    asked_for: list[int] = []
    for weights in ("1", "2"):
        repository = tmp_path / weights
        make_repository(repository, contract("rgb", weights=weights))
        with (
            VideoEmbedder(f"local:{repository}") as embedder,
            suppress(KeyboardInterrupt),
            open_job(
                "jsonl",
                output,
                columns=(),
                model=embedder.model,
                choices={},
                on_kept=kept.append,
                follows_versions=True,
            ) as job,
        ):
            for path in job.remaining([video]):
                asked_for.append(int(weights))
                result = embedder.embed(path)
                job.write(list(result.rows()), content_sha256=result.content_sha256)
            if weights == "1":
                raise KeyboardInterrupt
    assert asked_for == [1]
    assert len(kept) == 1
    assert output.is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--output", "rows.parquet"], "rows of several models, and parquet names one; write json or jsonl"),
        (["--output", "rows.npz"], "rows of several models, and npz names one; write json or jsonl"),
        (["--engine", "ray", "--output", "rows"], "--follow-versions is for one process; leave it out with"),
    ],
)
def test_versions_are_followed_where_each_row_can_name_its_own(
    client: Client, videos: list[Path], arguments: list[str], told: str
) -> None:
    refused = client("embed", videos[0], "--follow-versions", *arguments)
    assert refused.returncode == 2
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_one_command_writes_a_file(tmp_path: Path, embedder: VideoEmbedder, videos: list[Path]) -> None:
    output = tmp_path / "rows.jsonl"
    with (
        open_job("jsonl", output, columns=(), model=embedder.model, choices={}, on_kept=print),
        pytest.raises(UsageError, match=r"rows.jsonl.partial' is being written by another command; wait for it"),
    ):
        embed(embedder, videos[:1], output)


@pytest.mark.parametrize("chosen", FORMATS)
def test_a_full_disk_loses_no_finished_video(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], chosen: Format
) -> None:
    output = tmp_path / f"rows.{chosen}"
    output.write_text("old")
    with full_disk(6000), pytest.raises(StorageError, match=f"^'{output}' cannot be written: File too large; "):
        embed(embedder, videos[:4], output)
    assert output.read_text() == "old"
    assert 1 <= len(embed(embedder, videos[:4], output)) < 4
    assert [row[0] for row in read_rows(output)] == [str(video) for video in videos[:4] for _ in range(5)]


def test_what_failed_is_tried_again_and_is_one_row(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    (broken := tmp_path / "broken.mp4").write_bytes(b"no video")
    command = ("embed", broken, *videos[:2], "--output", "rows.jsonl")
    assert client(*command).returncode == 3
    whole = (tmp_path / "rows.jsonl").read_text()
    (tmp_path / "failures.jsonl").unlink()
    with full_disk(6000):
        assert client(*command).returncode == 1
    finished = client(*command)
    assert finished.returncode == 3
    assert "1 of 3 videos were finished before, and were not worked on again" in finished.stderr
    assert (tmp_path / "rows.jsonl").read_text() == whole


def kill_once(tmp_path: Path, url: str, folder: Path, output: str, *, num_finished: int) -> None:
    """Begin the command, and kill it when the journal holds so many videos."""
    journal = tmp_path / f"{output}.partial"
    with subprocess.Popen(
        [sys.executable, "-m", "cocon.client", "embed", folder, "--output", output, "--overlap", "0.5"],
        cwd=tmp_path,
        env=os.environ | {"COCON_URL": url},
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b'\n{"finished"') >= num_finished:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)


def assert_survives_kills(client: Client, tmp_path: Path, url: str, output: str, *, kills: Sequence[int]) -> None:
    folder = tmp_path / "many"
    for number in range(12):
        write_video(folder / f"{number:02d}.mp4", seed=number, num_frames=30)
    assert client("embed", folder, "--output", f"whole-{output}", "--overlap", "0.5").returncode == 0
    for num_finished in kills:
        kill_once(tmp_path, url, folder, output, num_finished=num_finished)
        assert not (tmp_path / output).exists()
    finished = client("embed", folder, "--output", output, "--overlap", "0.5")
    assert finished.returncode == 0
    assert "of 12 videos were finished before" in finished.stderr
    assert read_rows(tmp_path / output) == read_rows(tmp_path / f"whole-{output}")
    assert not (tmp_path / f"{output}.partial").exists()


def test_a_killed_command_goes_on(client: Client, tmp_path: Path, url: str) -> None:
    assert_survives_kills(client, tmp_path, url, "rows.parquet", kills=(3,))


@pytest.mark.slow
@pytest.mark.parametrize("chosen", FORMATS)
def test_ten_kills_lose_and_double_no_row(client: Client, tmp_path: Path, url: str, chosen: Format) -> None:
    assert_survives_kills(client, tmp_path, url, f"rows.{chosen}", kills=range(1, 11))
