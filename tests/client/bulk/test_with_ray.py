"""The commands with Ray: what they leave is what they leave without it, whoever is killed meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cocon.client import VideoIndex
from cocon.client.bulk.shard import read_head
from tests.client.conftest import Client, Finished, write_video

_TIMEOUT_S = 600.0


@dataclass
class Running:
    """A command in a process of its own, and what it has started so far."""

    process: subprocess.Popen[str]
    seen: dict[int, psutil.Process] = field(default_factory=dict)

    def look(self) -> list[psutil.Process]:
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self.seen |= {each.pid: each for each in found}
        return found

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + _TIMEOUT_S
        while not is_so():
            assert time.monotonic() < end
            assert self.process.poll() is None, self.ended()
            time.sleep(0.01)

    def workers(self) -> list[psutil.Process]:
        """Processes of Ray that make shards."""
        return self.children("EmbedShard")

    def children(self, name: str) -> list[psutil.Process]:
        """Processes of Ray with a word in their command lines."""
        found = []
        for each in self.look():
            try:
                if name in " ".join(each.cmdline()):
                    found.append(each)
            except psutil.Error:
                continue
        return found

    def ended(self) -> Finished:
        stdout, stderr = self.process.communicate(timeout=_TIMEOUT_S)
        return Finished(self.process.returncode, stdout, stderr)

    def check_nothing_is_left(self) -> None:
        _, left = psutil.wait_procs(self.seen.values(), timeout=60)
        assert left == []


@pytest.fixture
def start(tmp_path: Path, url: str) -> Iterator[Callable[..., Running]]:
    begun: list[Running] = []

    def run(*arguments: object) -> Running:
        command = [sys.executable, "-m", "cocon.client", *map(str, arguments)]
        environment = os.environ | {"COCON_URL": url}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
        )
        begun.append(Running(process))
        return begun[-1]

    yield run
    for running in begun:
        running.process.kill()
        running.process.communicate()


def make_corpus(folder: Path) -> list[str]:
    """24 videos in folders that are labels, a copy, a broken file, one with a manifest, and a list with one missing."""
    for number in range(24):
        write_video(folder / "corpus" / ("jump", "fall")[number % 2] / f"v{number}.mp4", seed=number, num_frames=120)
    shutil.copy(folder / "corpus/jump/v0.mp4", folder / "corpus/fall/copy.mp4")
    (folder / "corpus/jump/broken.mp4").write_bytes(b"no video")
    write_video(folder / "set/a\udcff b.mp4", seed=70)
    write_video(folder / "set/b.mp4", seed=71)
    (folder / "set/manifest.csv").write_text("path,label,take\nb.mp4,turn,3\n")
    (folder / "list.txt").write_text("set/b.mp4\nmissing.mp4\n")
    return ["corpus", "set", "@list.txt"]


def facts_of(index: VideoIndex, folder: Path) -> tuple[list[dict[str, object]], list[dict[str, object]], bytes]:
    """Everything that an index holds: videos, failures, and all rows with their vectors."""
    import pyarrow as pa
    from pyarrow import parquet

    exported = folder / "exported.parquet"
    index.export(exported)
    order = [("content_sha256", "ascending"), ("clip", "ascending")]
    table = parquet.read_table(exported).sort_by(order)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    failures = [failure.row() for failure in index.failures()]
    return [video.row() for video in index.videos()], failures, stream.getvalue().to_pybytes()


def told(finished: Finished, index: str) -> tuple[int, str, list[str]]:
    """What a command said, without the name of its index."""
    return finished.returncode, finished.stdout.replace(index, "INDEX"), sorted(finished.stderr.splitlines())


def test_an_index_is_the_same_although_a_worker_was_killed(
    start: Callable[..., Running], client: Client, tmp_path: Path
) -> None:
    inputs = make_corpus(tmp_path)
    running = start("index", "add", *inputs, "--index", "by_ray", "--engine", "ray", "--view", "rgb", "--json", "-q")
    shards = tmp_path / "by_ray.shards"
    running.wait_until(lambda: bool(running.workers()))
    worker = running.workers()[0]
    running.wait_until(lambda: bool([*shards.glob("*.parquet")]))
    worker.kill()
    num_done = len([*shards.glob("*.parquet")])
    by_ray = running.ended()
    running.check_nothing_is_left()
    plain = client("index", "add", *inputs, "--index", "plain", "--json", "-q")
    assert num_done < 6  # of 8: it was killed in the midst
    assert told(by_ray, "by_ray") == told(plain, "plain")
    assert (plain.returncode, json.loads(plain.stdout)["added"]) == (3, 26)
    assert facts_of(VideoIndex(tmp_path / "by_ray"), tmp_path) == facts_of(VideoIndex(tmp_path / "plain"), tmp_path)
    assert not shards.exists()


def is_decoding(worker: psutil.Process, video: Path) -> bool:
    try:
        return any(video.name in file.path for child in worker.children() for file in child.open_files())
    except psutil.Error:
        return False


@pytest.mark.slow
def test_a_video_that_ends_every_worker_fails_alone(start: Callable[..., Running], tmp_path: Path) -> None:
    deadly = write_video(tmp_path / "corpus/deadly.mp4", seed=0, num_frames=6_000)
    for number in range(12):
        write_video(tmp_path / f"corpus/v{number}.mp4", seed=number + 1)
    running = start("index", "add", "corpus", "--engine", "ray", "-q")
    num_killed = 0
    while running.process.poll() is None:
        for worker in running.workers():
            if is_decoding(worker, deadly):
                worker.kill()
                worker.wait(10)
                num_killed += 1
    finished = running.ended()
    running.check_nothing_is_left()
    assert (finished.returncode, finished.stdout) == (3, "index: 12 added, 0 unchanged, 1 failed\n")
    assert num_killed == 8
    (failure,) = VideoIndex(tmp_path / "index").failures()
    assert (failure.kind, Path(failure.path)) == ("WorkerDiedError", deadly)
    assert not failure.is_lasting


@pytest.mark.slow
def test_a_killed_job_goes_on_from_its_shards(start: Callable[..., Running], client: Client, tmp_path: Path) -> None:
    inputs = make_corpus(tmp_path)
    arguments = ("embed", *inputs, "--engine", "ray", "--output", "rows", "-q")
    running = start(*arguments)
    running.wait_until(lambda: bool(running.workers()))
    running.wait_until(lambda: len([*(tmp_path / "rows").glob("*.parquet")]) >= 3)
    running.process.send_signal(signal.SIGKILL)
    running.ended()
    running.check_nothing_is_left()
    before = {path: path.stat().st_ino for path in (tmp_path / "rows").glob("*.parquet")}
    done = {given for path in before for given in read_head(path).inputs}
    assert 0 < len(done) < 28
    finished = start(*arguments).ended()
    assert finished.returncode == 3
    after = {path: path.stat().st_ino for path in (tmp_path / "rows").glob("*.parquet")}
    assert before.items() <= after.items()
    again = [given for path in after.keys() - before for given in read_head(path).inputs]
    assert not done.intersection(again)
    plain = client("embed", *inputs, "--output", "plain.parquet", "-q")
    assert plain.returncode == 3
    from pyarrow import parquet

    expected, found = parquet.read_table(tmp_path / "plain.parquet"), parquet.read_table(tmp_path / "rows")
    order = [("video", "ascending"), ("clip", "ascending")]
    assert found.select(expected.schema.names).sort_by(order).equals(expected.sort_by(order))


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(start: Callable[..., Running], tmp_path: Path) -> None:
    running = start("index", "add", *make_corpus(tmp_path), "--engine", "ray", "-q")
    running.wait_until(lambda: bool(running.workers()))
    running.wait_until(lambda: bool([*(tmp_path / "index.shards").glob("*.parquet")]))
    running.process.send_signal(signal.SIGINT)
    finished = running.ended()
    assert (finished.returncode, finished.stdout) == (130, "")
    assert "Traceback" not in finished.stderr, finished.stderr
    running.check_nothing_is_left()


@pytest.mark.slow
def test_ctrl_c_while_ray_starts_leaves_nothing_behind(start: Callable[..., Running], videos: list[Path]) -> None:
    running = start("embed", videos[0], "--engine", "ray", "--output", "rows", "-q")
    running.wait_until(lambda: bool(running.children("ray::DashboardAgent")))
    running.process.send_signal(signal.SIGINT)
    assert running.ended().returncode == 130
    running.check_nothing_is_left()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--engine", "ray", "--ray-address", "127.0.0.1:1"], 4, "no Ray cluster answers at '127.0.0.1:1': Connection"),
        (["--engine", "ray", "--ray-address", "x y"], 2, "'x y' is no address of a Ray cluster: HOST:PORT or auto"),
        (["--engine", "ray", "--ray-address", "ray://h:1"], 2, "'ray://h:1' is no address of a Ray cluster"),
        (["--ray-address", "127.0.0.1:1"], 2, "--ray-address '127.0.0.1:1' needs --engine ray"),
    ],
    ids=["unreachable", "no-address", "from-outside", "without-ray"],
)
def test_what_is_wrong_with_a_cluster_is_one_line(
    client: Client, videos: list[Path], tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    finished = client("index", "add", videos[0], *arguments)
    assert finished.returncode == code
    assert finished.stderr.startswith(f"error: {message}")
    assert finished.stderr.count("\n") == 1
    assert not (tmp_path / "index.shards").exists()


def test_rays_output_is_a_folder_of_parquet(client: Client, videos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in ([], ["--json"], ["--output", "rows", "--format", "jsonl"], ["--output", "file"]):
        finished = client("embed", videos[0], "--engine", "ray", *arguments)
        assert finished.returncode == 2
        assert finished.stderr.count("\n") == 1
