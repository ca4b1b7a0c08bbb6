"""The programs of `examples/`, as a reader runs them, against a real server: all of them give the client's rows."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder
from cocon.embedding.videos.video_embedding import VideoEmbedding
from cocon.serving.launcher import ServerProcess

pytestmark = [pytest.mark.triton, pytest.mark.videos]

ROOT = Path(__file__).resolve().parents[4]
EXAMPLES = ROOT / "examples"
LONGEST_LINES = 30


@pytest.fixture(scope="module")
def expected(video_server: ServerProcess, films: dict[str, Path]) -> VideoEmbedding:
    with VideoEmbedder(video_server.url, views=("flow", "rgb")) as embedder:
        return embedder.embed(films["a0"])


def run(*command: object, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    words = list(map(str, command))
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def http_url(server: ServerProcess) -> str:
    return f"http://{server.address.host}:{server.address.http_port}"


def assert_rows(printed: str, expected: VideoEmbedding) -> None:
    rows = [json.loads(line) for line in printed.splitlines()]
    assert len(rows) == len(expected)
    for name in ("start_seconds", "end_seconds", "embedding"):
        np.testing.assert_allclose([row[name] for row in rows], getattr(expected, name), atol=1e-5)


def test_they_are_as_short_as_they_say() -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("video_*")}
    assert len(sizes) == 4
    assert {name: size for name, size in sizes.items() if size > LONGEST_LINES} == {}


@pytest.mark.parametrize("name", ["video_grpc.py", "video_api.py"])
def test_in_python(name: str, video_server: ServerProcess, films: dict[str, Path], expected: VideoEmbedding) -> None:
    ended = run(sys.executable, EXAMPLES / name, films["a0"], video_server.url, "flow,rgb")
    assert ended.returncode == 0, ended.stderr
    assert_rows(ended.stdout, expected)


def test_with_curl(video_server: ServerProcess, films: dict[str, Path], expected: VideoEmbedding) -> None:
    ended = run(EXAMPLES / "video_http.sh", films["a0"], http_url(video_server), "flow,rgb")
    assert ended.returncode == 0, ended.stderr
    tensors = {output["name"]: output["data"] for output in json.loads(ended.stdout)["outputs"]}
    np.testing.assert_allclose(tensors["start_seconds"], expected.start_seconds)
    np.testing.assert_allclose(tensors["embedding"], expected.embedding.reshape(-1), atol=1e-5)
    assert json.loads(tensors["about"][0])["fingerprint"] == expected.fingerprint
    refused = run(EXAMPLES / "video_http.sh", films["text"], http_url(video_server))
    assert json.loads(refused.stdout)["error"].startswith("UnreadableVideoError: video 'video' cannot be decoded")


@pytest.mark.slow
def test_in_javascript(
    video_server: ServerProcess, films: dict[str, Path], expected: VideoEmbedding, tmp_path: Path
) -> None:
    """With what it needs from the registry of packages, beside it."""
    for name in ("video_grpc.js", "kserve.proto"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    installed = run("npm", "install", "--no-audit", "--no-fund", "@grpc/grpc-js", "@grpc/proto-loader", cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    ended = run("node", tmp_path / "video_grpc.js", films["a0"], video_server.url, "flow,rgb", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert_rows(ended.stdout, expected)
    refused = run("node", tmp_path / "video_grpc.js", films["text"], video_server.url, cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("UnreadableVideoError: video '")
