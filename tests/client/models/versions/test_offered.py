"""Models that are not ready: which are waited for, and what is said of the others."""

from contextlib import closing
from dataclasses import replace

import grpc
import numpy as np
import pytest
from tritonclient.grpc import model_config_pb2 as triton
from tritonclient.grpc import service_pb2

from cocon.client.models.channel import TritonChannel
from cocon.client.models.server import TritonServer
from cocon.client.models.target import Target
from cocon.client.models.versions import unchanged
from cocon.client.models.versions.offered import DescribedVersion, VersionGoneError
from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.embedding.embedder import ENCODER
from cocon.serving.launcher import ServerProcess
from tests.client.models.conftest import Flaky, serving
from tests.client.models.pretender import PRETENDED, Pretender


class _Offering(Flaky):
    """Lists `(version, state, reason)` of `cocon_rgb`, one list after the other, and has none of them ready."""

    def __init__(self, *lists: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self._lists = list(lists)

    def RepositoryIndex(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # the protocol's name
        answer = service_pb2.RepositoryIndexResponse()
        for version, state, reason in self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]:
            answer.models.add(name="cocon_rgb", version=version, state=state, reason=reason)
        return answer

    def ModelInfer(self, request: object, context: grpc.ServicerContext) -> None:  # noqa: N802  # likewise
        context.abort(
            grpc.StatusCode.UNAVAILABLE, "Request for unknown model: 'cocon_rgb' version 1 is not at ready state"
        )


def test_models_that_are_being_loaded_are_waited_for() -> None:
    lists = [("1", "LOADING", "")], [("1", "UNLOADING", "")], [("1", "READY", ""), ("2", "LOADING", "")]
    with serving(_Offering(*lists)) as url, TritonServer(url, timeout_s=600) as triton:
        assert triton.views == ("rgb",)


def test_views_that_are_ready_are_told_without_waiting_for_the_others() -> None:
    listed = [("1", "READY", "")], [("1", "LOADING", "")]
    with serving(_Offering(*listed)) as url, TritonServer(url, timeout_s=600) as triton:
        assert [triton.ready_views, triton.ready_views] == [("rgb",), ()]


def test_whether_there_is_an_ensemble_does_not_wait_for_other_models() -> None:
    with serving(_Offering([("1", "LOADING", "")])) as url, TritonServer(url, timeout_s=0.3) as triton:
        assert triton.fusion() is None


@pytest.mark.parametrize("listed", [("1", "LOADING", ""), ("1", "UNAVAILABLE", "unloaded")])
def test_a_model_that_does_not_come_in_time_is_not_ready(listed: tuple[str, str, str]) -> None:
    with (
        serving(_Offering([listed])) as url,
        TritonServer(url, timeout_s=0.3) as triton,
        pytest.raises(
            ServerError, match=rf"is not ready \(model 'cocon_rgb' is {listed[1]}\), and was not within 0\.3 s"
        ),
    ):
        triton.open(ENCODER, "rgb")


@pytest.mark.parametrize(
    ("listed", "error", "told"),
    [
        ([], UsageError, r"has no model 'cocon_rgb'; it has: none"),
        ([("1", "UNAVAILABLE", "no such file")], ServerError, "'cocon_rgb' on .* is not ready: no such file"),
    ],
)
def test_a_model_that_will_not_come_is_not_waited_for(
    listed: list[tuple[str, str, str]], error: type[Exception], told: str
) -> None:
    with (
        serving(_Offering(listed)) as url,
        TritonServer(url, timeout_s=600) as triton,
        pytest.raises(error, match=told),
    ):
        triton.open(ENCODER, "rgb")


@pytest.mark.parametrize(
    ("listed", "timeout_s", "error", "told"),
    [
        (
            [("1", "UNAVAILABLE", "unloaded"), ("2", "READY", "")],
            600,
            MismatchError,
            "is gone, version 2 is in its place",
        ),
        ([], 600, MismatchError, "is gone, and there is no other"),
        ([("1", "UNAVAILABLE", "unloaded")], 0.5, ServerError, "not at ready state.* within 0.5 s"),
    ],
)
def test_a_version_that_was_replaced_is_not_waited_for(
    listed: list[tuple[str, str, str]], timeout_s: float, error: type[Exception], told: str
) -> None:
    model = DescribedVersion("cocon_rgb", "1", triton.ModelConfig(), "contract.1", "")
    with serving(_Offering(listed)) as url:
        channel = TritonChannel(Target.parse(url), timeout_s=timeout_s)
        with pytest.raises(error, match=told):
            channel.infer(model, {"clip": np.zeros((1, 2), np.uint8)}, {"embedding": "embedding"})
        channel.close()


def test_a_version_that_an_ensemble_called_and_is_gone_is_not_waited_for() -> None:
    offering = _Offering([("1", "UNAVAILABLE", "unloaded"), ("2", "READY", "")])
    with (
        serving(offering) as url,
        closing(TritonChannel(Target.parse(url), timeout_s=10)) as channel,
        pytest.raises(VersionGoneError, match=r"'cocon_rgb' version 1 on .* is gone, version 2 is in its place"),
    ):
        channel.described("cocon_rgb", "contract", version=1)


def test_a_version_that_is_gone_is_no_missing_server(server: ServerProcess) -> None:
    channel = TritonChannel(Target.parse(server.url), timeout_s=600)
    model = channel.described("cocon_rgb", ENCODER.contract_key)
    with pytest.raises(MismatchError, match=r"'cocon_rgb' version 7 on .* is gone, version 1 is in its place"):
        channel.infer(
            replace(model, version="7"), {"clip": np.zeros((1, 2, 2, 16, 16, 3), np.uint8)}, {"embedding": "embedding"}
        )
    channel.close()


def test_answers_of_a_model_that_has_changed_are_found_out_within_a_second_or_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    servicer = Pretender()

    def ask() -> None:
        channel.infer(PRETENDED, {"clip": np.ones((2, 2), np.uint8)}, {"embedding": "embedding"})

    monkeypatch.setattr(unchanged, "_BELIEVED_S", 1e6)
    with serving(servicer) as url, closing(TritonChannel(Target.parse(url), timeout_s=30)) as channel:
        for _ in range(3):
            ask()
        channel.confirm()
        channel.confirm()
        assert servicer.asked == ["wire", "config", "wire", "wire", "config"]
        servicer.contract = '{"another": 1}'
        ask()
        with pytest.raises(MismatchError, match="the model has changed meanwhile"):
            channel.confirm()
        monkeypatch.setattr(unchanged, "_BELIEVED_S", 0.0)
        with pytest.raises(MismatchError, match="the model has changed meanwhile"):
            ask()


class _Repaired(Pretender):
    """Keeps its list of models to its operator; the one that it has is loaded again while somebody asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.num_infers = 0

    def RepositoryIndex(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # likewise
        context.abort(grpc.StatusCode.UNAVAILABLE, "This protocol is restricted, expecting header 'a'")

    def ModelStatistics(self, request: object, context: object) -> object:  # noqa: N802  # likewise
        return service_pb2.ModelStatisticsResponse()

    def ModelMetadata(self, request: object, context: object) -> object:  # noqa: N802  # likewise
        return service_pb2.ModelMetadataResponse(name="m", versions=["1"])

    def ModelInfer(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # likewise
        self.num_infers += 1
        if self.num_infers == 1:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown model: 'm' has no available versions")
        return super().ModelInfer(request, context)


def test_a_model_that_comes_back_while_its_server_is_asked_for_it_is_not_gone() -> None:
    with serving(_Repaired()) as url, closing(TritonChannel(Target.parse(url), timeout_s=30.0)) as channel:
        found = channel.infer(PRETENDED, {"clip": np.zeros((2, 3), np.uint8)}, {"embedding": "embedding"})
    assert found["embedding"].shape == (2, 3)
