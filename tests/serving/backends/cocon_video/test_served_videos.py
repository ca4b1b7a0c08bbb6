"""A real Triton that takes videos: over gRPC as its own client sends them, and over HTTP with nothing but a body."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from cocon.client import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo
from cocon.embedding.videos.call_record import VIDEO_MODEL
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import contract
from tests.serving.backends.cocon_video.conftest import QUEUE_SIZE, VIEWS

pytestmark = [pytest.mark.triton, pytest.mark.videos]


def ask(
    url: str, content: NDArray[np.uint8], outputs: tuple[str, ...] = (), **parameters: str | float | bool
) -> dict[str, NDArray[Any]]:
    video = InferInput("video", [len(content)], "UINT8")
    video.set_data_from_numpy(content)
    wanted = [InferRequestedOutput(name) for name in outputs] or None
    with InferenceServerClient(url) as client:
        result = client.infer(VIDEO_MODEL, [video], outputs=wanted, parameters=parameters or None)
        return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def refused(url: str, content: NDArray[np.uint8], **parameters: str | float | bool) -> tuple[str, str]:
    """Status and message of a request that fails."""
    with pytest.raises(InferenceServerException) as error:
        ask(url, content, **parameters)
    return str(error.value.status()).removeprefix("StatusCode."), error.value.message()


@pytest.mark.parametrize(("views", "overlap"), [(("rgb",), 0.0), (VIEWS, 0.5)])
def test_it_gives_the_rows_of_the_client_and_its_errors(
    video_server: ServerProcess, films: dict[str, Path], views: tuple[str, ...], overlap: float
) -> None:
    names = ("a0", "a1", "empty", "text", "cut")
    with VideoEmbedder(video_server.url, views=views, overlap=overlap) as embedder:
        expected = list(embedder.embed_many(films[name] for name in names))
    for name, result in zip(names, expected, strict=True):
        path, asked = films[name], {"views": ",".join(views), "overlap": overlap, "name": str(films[name])}
        content = np.fromfile(path, np.uint8)
        if isinstance(result, FailedVideo):
            message = f"{type(result.error).__name__}: {result.message}"
            assert refused(video_server.url, content, **asked) == ("INVALID_ARGUMENT", message)
            continue
        found = ask(video_server.url, content, **asked)
        about = json.loads(found["about"][0])
        for fact in ("content_sha256", "view", "num_frames", "truncated", "model", "version", "fingerprint"):
            assert about[fact] == getattr(result, fact)
        assert about["labels"] == list(contract("rgb").labels)
        np.testing.assert_array_equal(found["start_seconds"], result.start_seconds)
        np.testing.assert_array_equal(found["end_seconds"], result.end_seconds)
        for output in ("embedding", "blocks", "probabilities"):
            np.testing.assert_allclose(found[output], getattr(result, output), atol=1e-5)
        assert {output for output in found if output.startswith("embedding_")} == {
            f"embedding_{view}" for view in views
        }


def test_only_what_is_asked_for_comes(video_server: ServerProcess, films: dict[str, Path]) -> None:
    content = np.fromfile(films["a0"], np.uint8)
    found = ask(video_server.url, content, ("embedding", "start_seconds"), views="all")
    assert {name: list(values.shape) for name, values in found.items()} == {
        "start_seconds": [5],
        "embedding": [5, 2 * 8],
    }


def test_what_is_wrong_with_a_request_is_said(video_server: ServerProcess, films: dict[str, Path]) -> None:
    content = np.fromfile(films["a0"], np.uint8)
    assert refused(video_server.url, content, views="smell")[0] == "INVALID_ARGUMENT"
    status, message = refused(video_server.url, content, overlap=2)
    assert (status, message) == ("INVALID_ARGUMENT", "UsageError: overlap (2.0) must be from 0 to 0.9")
    status, message = refused(video_server.url, np.zeros((4 << 20) + 1, np.uint8), name="a.mp4")
    assert (status, message.partition(";")[0]) == (
        "INVALID_ARGUMENT",
        "TooLargeError: video 'a.mp4' has 4,194,305 bytes, the limit max_bytes is 4,194,304",
    )


def test_a_long_video_does_not_keep_a_short_one_waiting(video_server: ServerProcess, films: dict[str, Path]) -> None:
    ended: dict[str, float] = {}

    def send(name: str) -> None:
        ask(video_server.url, np.fromfile(films[name], np.uint8), overlap=0.9)
        ended[name] = time.monotonic()

    threads = [threading.Thread(target=send, args=(name,)) for name in ("long", "a0", "a1")]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join(120)
    assert ended.keys() == {"long", "a0", "a1"}
    assert max(ended["a0"], ended["a1"]) < ended["long"]


def test_who_finds_a_full_queue_is_refused_at_once(video_server: ServerProcess, films: dict[str, Path]) -> None:
    long, short = (np.fromfile(films[name], np.uint8) for name in ("long", "a0"))

    def outcome(content: NDArray[np.uint8], overlap: float) -> str:
        try:
            return f"{len(ask(video_server.url, content, ('embedding',), overlap=overlap)['embedding'])} clips"
        except InferenceServerException as error:
            return f"{error.status()} {error.message()}"

    with ThreadPoolExecutor(10) as threads:
        busy = [threads.submit(outcome, long, 0.9) for _ in range(2)]  # as many as there are instances
        time.sleep(0.5)
        waiting = [threads.submit(outcome, short, 0.0) for _ in range(QUEUE_SIZE + 3)]
        outcomes = Counter(future.result() for future in waiting)
        assert not outcomes.pop("5 clips", 0) < QUEUE_SIZE
        assert sum(outcomes.values()) == 3
        assert all("UNAVAILABLE" in each and "Exceeds maximum queue size" in each for each in outcomes)
        assert all(future.result().endswith("clips") for future in busy)


def test_who_gives_up_frees_the_worker_and_nothing_is_left(
    video_server: ServerProcess, films: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = np.fromfile(films["long"], np.uint8)
    video = InferInput("video", [len(content)], "UINT8")
    video.set_data_from_numpy(content)
    with InferenceServerClient(video_server.url) as client:
        for _ in range(4):
            with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
                client.infer(VIDEO_MODEL, [video], parameters={"overlap": 0.9}, client_timeout=0.2)
    assert len(ask(video_server.url, np.fromfile(films["a0"], np.uint8))["embedding"]) == 5
    folders = [Path(process.environ()["TMPDIR"]) for process in _workers(video_server)][:1]
    assert [path for path in folders[0].rglob("video*") if path.is_file()] == []


def test_a_decoder_that_is_killed_costs_one_video(video_server: ServerProcess, films: dict[str, Path]) -> None:
    for worker in _workers(video_server):
        worker.kill()
    content = np.fromfile(films["a0"], np.uint8)
    assert len(ask(video_server.url, content)["embedding"]) == len(ask(video_server.url, content)["embedding"]) == 5


def _workers(server: ServerProcess) -> list[psutil.Process]:
    """Processes that decode for a server."""
    children = psutil.Process(server.identity.pid).children(recursive=True)
    return [process for process in children if "cocon.video.workers.worker_main" in process.cmdline()]


def test_a_body_over_http_is_enough(video_server: ServerProcess, films: dict[str, Path]) -> None:
    address = video_server.address
    url = f"http://{address.host}:{address.http_port}/v2/models/{VIDEO_MODEL}/infer"
    header = {"Inference-Header-Content-Length": "0", "Content-Type": "application/octet-stream"}
    with urllib.request.urlopen(urllib.request.Request(url, films["a0"].read_bytes(), header)) as answer:
        length = int(answer.headers["Inference-Header-Content-Length"])
        told = json.loads(answer.read()[:length])
    shapes = {output["name"]: output["shape"] for output in told["outputs"]}
    assert shapes["embedding"] == [5, 8]
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(url, b"no video", header))
    assert error.value.code == 400
    assert json.loads(error.value.read())["error"].startswith("UnreadableVideoError: video 'video' cannot be decoded")
