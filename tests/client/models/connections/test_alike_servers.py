"""Several servers with the same models: work is shared, and goes on where one ends."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest

from cocon.client import VideoEmbedder
from cocon.client.models.channel import TritonChannel
from cocon.client.models.connections import alike_servers
from cocon.client.models.server import TritonServer
from cocon.client.models.target import Target
from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.embedding.contract import ModelContract
from cocon.embedding.videos.video_embedding import VideoEmbedding
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import Client, contract, make_repository
from tests.client.models.conftest import Flaky, serving, write_config
from tests.client.models.pretender import PRETENDED, Pretender

CLIPS = {"clip": np.zeros((2, 4), np.uint8)}


class Busy(Pretender):
    """Has no room."""

    def ModelInfer(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # the protocol's name
        self.asked.append("refused")
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "request exceeds maximum queue size")


def channel(*urls: str, timeout_s: float = 5.0) -> TritonChannel:
    first, *others = map(Target.parse, urls)
    return TritonChannel(first, others, timeout_s=timeout_s, shares_memory=False)


def infer(asked: TritonChannel) -> None:
    found = asked.infer(PRETENDED, CLIPS, {"embedding": "embedding"})
    assert found["embedding"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_next_server_is_asked_where_one_ends_and_the_first_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alike_servers, "_HOME_EVERY_S", 0.0)
    first, second = Pretender(), Pretender()
    with ExitStack() as opened, ExitStack() as first_opened:
        place = first_opened.enter_context(serving(first))
        asked = opened.enter_context(closing(channel(place, opened.enter_context(serving(second)))))
        infer(asked)
        assert (first.asked, second.asked) == (["wire", "config"], [])
        first_opened.close()
        infer(asked)
        infer(asked)
        assert second.asked == ["wire", "config", "wire"]  # that it has the same model is asked first
        again = Pretender()
        opened.enter_context(serving(again, place))
        end_s = time.monotonic() + 30
        while "wire" not in again.asked and time.monotonic() < end_s:  # gRPC pauses before it connects again
            infer(asked)
            time.sleep(0.05)
        assert "wire" in again.asked
        assert "config" in again.asked


def test_a_server_that_hangs_or_has_no_room_leaves_it_to_another() -> None:
    slow, busy, sound = Pretender(), Busy(), Pretender()
    slow.pause_s = 3.0
    with (
        serving(slow) as hangs,
        serving(busy) as refuses,
        serving(sound) as answers,
        closing(channel(hangs, refuses, answers, timeout_s=0.5)) as asked,
    ):
        infer(asked)
        infer(asked)
    assert (busy.asked, sound.asked) == (["refused"], ["wire", "config", "wire"])


def test_another_model_is_never_taken_for_it() -> None:
    other = Pretender()
    other.contract = "{'another': 1}"
    with (
        serving(other) as second,
        ExitStack() as first_opened,
        closing(channel(first_opened.enter_context(serving(Pretender())), second)) as asked,
    ):
        infer(asked)
        first_opened.close()
        with pytest.raises(MismatchError, match=r"has changed meanwhile|is another"):
            infer(asked)


def test_all_are_named_where_none_answers() -> None:
    with closing(channel("127.0.0.1:9", "127.0.0.2:9")) as asked, pytest.raises(ServerError) as caught:
        _ = asked.software
    assert "no Triton server answers at 127.0.0." in str(caught.value)
    assert "(asked in turn: 127.0.0.1:9, 127.0.0.2:9)" in str(caught.value)


def test_one_that_is_away_at_the_beginning_does_no_harm() -> None:
    with serving(Flaky()) as place, closing(channel("127.0.0.1:9", place)) as asked:
        assert asked.software == "triton 2.0"


def test_a_server_is_named_once() -> None:
    assert [target.url for target in Target.parse_all("a:1,grpcs://b:2")] == ["a:1", "grpcs://b:2"]
    with pytest.raises(UsageError, match="--url names a:1 twice; name each server once"):
        Target.parse_all("a:1, grpc://a:1/")


@contextmanager
def served(root: Path, *models: ModelContract) -> Iterator[ServerProcess]:
    folder = make_repository(root / "model_repository", *models)
    for model in models:
        write_config(folder / f"cocon_{model.view}", model, "onnxruntime")
    log = root / "triton.log"
    with ServerProcess(folder, Address.on_free_ports(), log=log, timeout_s=600, scrutiny="none") as process:
        yield process


@pytest.fixture(scope="module")
def second(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Another server with the same encoder of RGB, and another of flow."""
    models = contract("rgb"), contract("flow", weights="3")
    with served(tmp_path_factory.mktemp("second"), *models) as process:
        yield process


def test_info_tells_of_each_of_them(second: ServerProcess, client: Client, tmp_path: Path) -> None:
    again, nobody = second.url.replace("127.0.0.1", "localhost"), "127.0.0.1:9"
    told = client("info", "--url", nobody, "--url", f"{second.url},{again}", "--json")
    facts = json.loads(told.stdout)
    assert (told.returncode, facts["url"]) == (0, second.url)
    assert [row["is_same"] for row in facts["servers"]] == [None, True, True]
    assert "no Triton server answers" in facts["servers"][0]["error"]
    with served(tmp_path, contract("rgb", weights="3")) as third:
        told = client("info", "--url", second.url, "--url", third.url)
    assert told.returncode == 5
    assert f"{third.url}: triton 2.51.0, OTHER models" in told.stdout
    assert f"{third.url}: other models than on {second.url}; name servers of the same models" in told.stderr


def test_a_folder_stands_alone(client: Client) -> None:
    refused = client("info", "--url", "local:models", "--url", "a:8001")
    assert (refused.returncode, "is a folder, which stands alone" in refused.stderr) == (2, True)


def test_servers_share_the_work_and_one_goes_on_alone(
    server: ServerProcess, second: ServerProcess, videos: list[Path], url: str
) -> None:
    with VideoEmbedder(url) as local:
        expected = [video for video in local.embed_many(videos) if isinstance(video, VideoEmbedding)]
    both = f"{server.url},{second.url}"
    with pytest.raises(MismatchError, match=rf"{second.url} has version 1 of \w+; name servers of the same models"):
        VideoEmbedder(both, views=["flow"])
    with ExitStack() as opened:
        watched = [opened.enter_context(TritonServer(process.url)) for process in (server, second)]
        before = [each.statistics("cocon_rgb", "1").num_requests for each in watched]
        embedder = opened.enter_context(VideoEmbedder(both, timeout_s=60))
        found = []
        for result in embedder.embed_many([*videos, *videos]):
            found.append(result)
            if len(found) == len(videos):
                after = [each.statistics("cocon_rgb", "1").num_requests for each in watched]
                second.stop()  # in the midst
    assert all(num_after > num_before for num_after, num_before in zip(after, before, strict=True))
    for video, same in zip(found, [*expected, *expected], strict=True):
        assert isinstance(video, VideoEmbedding)
        np.testing.assert_allclose(video.embedding, same.embedding, atol=1e-5)
