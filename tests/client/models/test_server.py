"""The Triton client against a real server: the same numbers as without one, and clear errors."""

import socket
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder, connect
from cocon.client.models.server import TritonServer
from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.embedding.embedder import ENCODER, assert_congruent
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import Client


@pytest.fixture
def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return f"127.0.0.1:{bound.getsockname()[1]}"


def random_clips(num_clips: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_clips, 2, 2, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("model_format", ["onnx", "torchscript"])
def test_triton_gives_what_local_inference_gives(server: ServerProcess, url: str, model_format: str) -> None:
    local = connect(url).open(ENCODER, "rgb")
    with TritonServer(server.url, model_format=model_format) as triton:  # type: ignore[arg-type]  # parametrised
        served = triton.open(ENCODER, "rgb")
        assert (served.version, served.max_batch_size) == ("1", 4)
        assert served.contract == local.contract
        for num_clips in (1, 4):
            assert_congruent(local, served, random_clips(num_clips))


def test_videos_through_triton_equal_videos_without(server: ServerProcess, url: str, videos: list[Path]) -> None:
    results = []
    for place in (f"grpc://{server.url}", url):
        with VideoEmbedder(place, views=("rgb", "flow")) as embedder:
            results.append(list(embedder.embed_many(videos)))
    for served, local in zip(*results, strict=True):
        np.testing.assert_allclose(served.embedding, local.embedding, atol=1e-5)
        assert served.fingerprint == local.fingerprint
        assert served.view == "flow+rgb"


def test_missing_model_names_those_there_are(server: ServerProcess) -> None:
    with TritonServer(server.url) as triton, pytest.raises(UsageError, match=r"no model 'cocon_mask'.*cocon_rgb"):
        triton.open(ENCODER, "mask")


def test_model_with_a_foreign_contract_is_refused(server: ServerProcess) -> None:
    with TritonServer(server.url) as triton, pytest.raises(MismatchError, match=r"cocon_pose.*export again"):
        triton.open(ENCODER, "pose")


def test_deadline_is_kept_by_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"127.0.0.1:{deaf.getsockname()[1]}"
        with TritonServer(url, timeout_s=0.3) as triton, pytest.raises(ServerError, match=r"0\.3 s; raise --timeout-s"):
            triton.open(ENCODER, "rgb")


def test_info_of_a_server(server: ServerProcess, client: Client) -> None:
    result = client("info", "--url", server.url, "--json")
    assert result.returncode == 5, "the pose model's contract is damaged"
    assert "cocon_pose" in result.stderr


def test_no_server_is_one_line_and_exit_code_4(process: Client, dead_url: str, videos: list[Path]) -> None:
    result = process("embed", videos[0], "--url", dead_url)
    assert result.returncode == 4
    assert result.stderr.count("\n") == 1
    assert dead_url in result.stderr
    assert "cocon serve" in result.stderr
    assert "local:" in result.stderr
