"""A real server is promoted and rolled back under load: each request is answered, by the version that it names."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from cocon.core.errors import ServerError, UsageError
from cocon.embedding.config_files import CURRENT_KEY, PREVIOUS_KEY, read_config, write_config
from cocon.embedding.repository import writing
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.serving.operator_client import OperatorClient
from cocon.serving.rollout.plan import RolloutPlan, models_of, promotion, return_to_previous
from cocon.serving.rollout.rolling import Rolled, models_on, roll_out
from tests.serving.rollout.conftest import VIEWS, add_encoder, add_versions, configured, encoder

Clips = NDArray[np.uint8]


class Load:
    """Requests for one model, one after the other, each compared with what the version that answers must say.

    Attributes:
        answers: version → how many.
        failures: messages of requests that were not answered, or by other vectors than the version's.
    """

    def __init__(self, server: ServerProcess, model: str, *, version: str = "") -> None:
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self._server, self._model, self._version = server, model, version
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._views = VIEWS if model == "cocon" else (model.removeprefix("cocon_"),)
        self._expected: dict[tuple[str, int], NDArray[np.float32]] = {}
        rng = np.random.default_rng(0)
        self._clips = {view: rng.integers(0, 255, (1, *encoder(view, 1).clip_shape), np.uint8) for view in self._views}

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _ask(self) -> None:
        ending = {view: f"_{view}" if self._model == "cocon" else "" for view in self._views}
        inputs = []
        for view, clip in self._clips.items():
            inputs.append(InferInput(f"clip{ending[view]}", list(clip.shape), "UINT8"))
            inputs[-1].set_data_from_numpy(clip)
        with InferenceServerClient(self._server.url) as client:
            while not self._is_over.is_set():
                try:
                    found = client.infer(self._model, inputs, model_version=self._version, client_timeout=60)
                except InferenceServerException as error:
                    self.failures.append(str(error))
                    continue
                version = int(found.get_response().model_version)
                self.answers[version] += 1
                for view in self._views:
                    vector = found.as_numpy(f"embedding{ending[view]}")
                    if not np.allclose(vector, self._said(view, version), atol=1e-5):
                        self.failures.append(f"the answer of {self._model} version {version} is of another")

    def _said(self, view: str, version: int) -> NDArray[np.float32]:
        if (view, version) not in self._expected:
            path = self._server.repository / f"cocon_{view}" / str(version) / "model.onnx"
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            (self._expected[view, version],) = session.run(["embedding"], {"clip": self._clips[view]})
        return self._expected[view, version]


@contextmanager
def operated(server: ServerProcess) -> Iterator[OperatorClient]:
    with OperatorClient(server.address) as operator:
        yield operator


def ready(operator: OperatorClient) -> set[str]:
    return {f"{model.name}:{model.version}" for model in operator.index() if model.state == "READY"}


def rolled(operator: OperatorClient, server: ServerProcess, *, back: bool = False) -> list[Rolled]:
    models = models_on(operator, models_of(server.repository))
    plan: RolloutPlan = return_to_previous(models, ["all"]) if back else promotion(models, ["all"])
    return roll_out(operator, lambda: plan, drain_s=1.0)


ALL_1 = {"cocon:1", "cocon_flow:1", "cocon_rgb:1"}
ALL_2 = {"cocon:2", "cocon_flow:2", "cocon_rgb:2"}


def test_no_request_fails_while_versions_change_and_each_answer_is_of_the_version_it_names(
    server: ServerProcess, repository: Path
) -> None:
    add_versions(repository, 2)
    with (
        operated(server) as operator,
        Load(server, "cocon_rgb") as newest,
        Load(server, "cocon") as ensemble,
    ):
        assert ready(operator) == ALL_1  # what lies there is not served by itself
        assert rolled(operator, server) == [
            Rolled("cocon_flow", 1, 2),
            Rolled("cocon_rgb", 1, 2),
            Rolled("cocon", 1, 2),
        ]
        assert ready(operator) == ALL_2
        assert configured(repository, "cocon_rgb", CURRENT_KEY) == ([2], "2")
        assert rolled(operator, server) == []
        assert [(each.model, each.now) for each in rolled(operator, server, back=True)] == [
            ("cocon_flow", 1),
            ("cocon_rgb", 1),
            ("cocon", 1),
        ]
        assert ready(operator) == ALL_1
    for load in (newest, ensemble):
        assert load.failures == []
        assert min(load.answers[1], load.answers[2]) > 0 and set(load.answers) == {1, 2}


def test_who_began_with_a_version_keeps_it_for_as_long_as_it_is_asked(server: ServerProcess, repository: Path) -> None:
    add_versions(repository, 2)
    told: list[set[str]] = []
    with operated(server) as operator:
        models = models_on(operator, models_of(repository))
        with Load(server, "cocon_rgb", version="1") as pinned:
            threading.Timer(1.5, pinned.__exit__).start()  # and then it ends
            roll_out(
                operator,
                lambda: promotion(models, ["all"]),
                drain_s=60.0,
                on_progress=lambda text: told.append(ready(operator)),
            )
    assert told[-1] >= {"cocon_rgb:1", "cocon_rgb:2", "cocon:2"}  # both, while it is waited
    assert pinned.failures == [] and set(pinned.answers) == {1}


def test_what_does_not_load_changes_nothing(server: ServerProcess, repository: Path) -> None:
    add_versions(repository, 2)
    (repository / "cocon_rgb" / "2" / "model.onnx").write_bytes(b"no model")
    with operated(server) as operator, Load(server, "cocon") as ensemble:
        with pytest.raises(UsageError, match=r"nothing is changed: .*cocon_rgb"):
            rolled(operator, server)
        assert ready(operator) == ALL_1
        assert configured(repository, "cocon_flow", CURRENT_KEY)[0] == [1]
    assert ensemble.failures == [] and set(ensemble.answers) == {1}


def test_that_nothing_is_changed_is_said_only_where_it_is_so(repository: Path) -> None:
    add_versions(repository, 2)
    plan = promotion(models_of(repository), ["all"], version=1)
    with (
        OperatorClient(Address.on_free_ports()) as nobody,
        pytest.raises(ServerError, match=r"^the server at .* does not answer"),
    ):
        roll_out(nobody, lambda: plan, drain_s=0)


def test_an_export_while_it_is_waited_fails_no_promotion(server: ServerProcess, repository: Path) -> None:
    add_versions(repository, 2)
    turns, told = iter((nullcontext(), writing(repository))), list[str]()
    with operated(server) as operator, writing(repository):  # as an export has it
        plan = promotion(models_on(operator, models_of(repository)), ["all"])
        done = roll_out(operator, lambda: plan, drain_s=0, alone=lambda: next(turns), on_progress=told.append)
        assert {each.now for each in done} == {2}
        assert "the versions before stay served" in told[-1] and "another export writes" in told[-1]
        assert ready(operator) >= {"cocon_rgb:1", "cocon_rgb:2"}
        rolled(operator, server)  # the same again
        assert ready(operator) == ALL_2


def test_who_comes_second_goes_by_what_the_first_has_left(server: ServerProcess, repository: Path) -> None:
    add_versions(repository, 2)
    add_versions(repository, 3)
    others = [2]
    with operated(server) as operator:

        def to(version: int) -> RolloutPlan:
            return promotion(models_on(operator, models_of(repository)), ["all"], version=version)

        @contextmanager
        def after_another() -> Iterator[None]:
            """Somebody else has the lock first, and promotes."""
            if others:
                roll_out(operator, partial(to, others.pop()), drain_s=0)
            yield

        rolled = roll_out(operator, lambda: to(3), drain_s=0, alone=after_another)
        assert {(each.before, each.now) for each in rolled} == {(2, 3)}
        assert ready(operator) == {"cocon:3", "cocon_flow:3", "cocon_rgb:3"}
    assert configured(repository, "cocon_rgb", PREVIOUS_KEY) == ([3], "2")


def test_a_current_version_that_is_none_is_the_newest(server: ServerProcess, repository: Path) -> None:
    path = repository / "cocon_rgb" / "config.pbtxt"
    config = read_config(path)
    config.parameters[CURRENT_KEY].string_value = "newest"
    write_config(config, path)
    with operated(server) as operator:
        operator.load("cocon_rgb")
        assert models_on(operator, models_of(repository))["cocon_rgb"].current == 1


def test_versions_of_other_labels_are_not_served_at_once(server: ServerProcess, repository: Path) -> None:
    add_encoder(repository, "rgb", 2)
    (repository / "cocon_rgb" / "2" / "contract.json").write_text('{"labels": ["one", "other"]}')
    with operated(server) as operator:
        models = {"cocon_rgb": models_on(operator, models_of(repository))["cocon_rgb"]}
        with pytest.raises(UsageError, match=r"versions 1 and 2 of 'cocon_rgb' have other .* labels.*--cut-off"):
            roll_out(operator, lambda: promotion(models, ["cocon_rgb"]), drain_s=0)
        roll_out(operator, lambda: promotion(models, ["cocon_rgb"]), drain_s=0, cuts_off=True)
        assert "cocon_rgb:2" in ready(operator)
    assert (repository / "cocon_rgb" / "labels.txt").read_text() == "one\nother\n"


def test_without_the_operators_key_nothing_can_be_changed(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with operated(server) as operator, pytest.raises(ServerError, match="does not take the key"):
        operator.load("cocon_rgb")
