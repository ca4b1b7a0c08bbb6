"""Change the versions that a running server serves, without a lost request.

    with OperatorClient(address) as server:
        rolled = roll_out(server, lambda: promotion(models_on(server, models_of(repository)), ["all"]), drain_s=60.0)

The new version is loaded beside the one before; what calls it is changed over, which takes the server no time; then
the version before goes, as soon as nobody asks it any more. If anything does not load, all is as it was.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace

from tritonclient.utils import InferenceServerException

from cocon.core.errors import CoconError, ServerError, UsageError
from cocon.embedding.config_files import CURRENT_KEY, parameter, version_number
from cocon.serving.operator_client import OperatorClient
from cocon.serving.rollout.plan import RolloutPlan
from cocon.serving.rollout.versioned_model import VersionedModel

__all__ = ["Rolled", "models_on", "roll_out"]

# A version that nobody has asked for so long is asked by nobody any more.
_QUIET_S = 10.0
_POLL_S = 0.5
_CALL_TIMEOUT_S = 10.0
_READY = "READY"


@dataclass(frozen=True, slots=True)
class Rolled:
    """One model of a promotion or a rollback.

    Attributes:
        model: its name.
        before: the version that was current; 0 where there was none.
        now: the one that is.
    """

    model: str
    before: int
    now: int


def models_on(server: OperatorClient, models: Mapping[str, VersionedModel]) -> dict[str, VersionedModel]:
    """The models of a repository with the versions that a server has of them, which may be others than it should.

    Raises:
        ServerError: it does not answer, or does not take the key.
    """
    ready: dict[str, set[int]] = {name: set() for name in models}
    for listed in server.index():
        if listed.state == _READY and listed.name in ready:
            ready[listed.name].add(int(listed.version))
    return {name: _as_served(server, model, ready[name]) for name, model in models.items()}


def roll_out(
    server: OperatorClient,
    planned: Callable[[], RolloutPlan],
    *,
    drain_s: float,
    cuts_off: bool = False,
    alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    on_progress: Callable[[str], None] = lambda text: None,
) -> list[Rolled]:
    """Carry out a plan.

    Args:
        server: is to serve it.
        planned: gives the plan, of models as `models_on` gives them by then: called once nobody else changes them, as
            who was first may have.
        drain_s: how long the versions before stay at most, for those who began with them.
        cuts_off: whether requests for versions before may fail, where both versions cannot be served at once.
        alone: has server and repository for this process alone; not held while it is waited.
        on_progress: called with what happens next, in words.

    Raises:
        CoconError: whatever `planned` raises, or UsageError: two versions cannot be served at once, or one does not
            load; nothing has changed then.
            Who has the repository when the versions before are to go has them stay, which is told as progress.
        ServerError: the server does not answer; what it serves may be in between, and the same command goes on.
    """
    with alone():
        plan = planned()
        together = {name: _together(plan, name, cuts_off=cuts_off) for name in plan.targets}
        with _put_back_on_failure(server, plan):
            _hold_callers(server, plan)
            for name in (*plan.parts, *plan.callers):
                on_progress(f"{name}: loading version {plan.targets[name]}")
                _serve(server, plan, name, together[name])
    leaving = {name: versions - {plan.targets[name]} for name, versions in together.items()}
    _drain(server, leaving, drain_s, on_progress)
    try:
        with alone():
            for name in (*plan.callers, *plan.parts):  # who calls goes before who is called
                is_meant = VersionedModel.of(plan.models[name].folder).current == plan.targets[name]
                if leaving[name] and is_meant:  # and nobody has promoted another one since
                    _serve(server, plan, name, {plan.targets[name]})
    except UsageError as error:  # what is wanted is served: that has not failed
        on_progress(f"the versions before stay served, until the same command is given again: {error}")
    return [Rolled(name, plan.models[name].current, version) for name, version in plan.targets.items()]


def _as_served(server: OperatorClient, model: VersionedModel, ready: set[int]) -> VersionedModel:
    current = 0
    if ready:
        named = version_number(parameter(server.config(model.name, max(ready)), CURRENT_KEY))
        current = named if named in ready else max(ready)
    return replace(model, served=tuple(sorted(ready)), current=current)


def _together(plan: RolloutPlan, name: str, *, cuts_off: bool) -> set[int]:
    """Versions that are served until the one before is asked no more."""
    model, target = plan.models[name], plan.targets[name]
    if model.is_ensemble:  # has one configuration, which calls for one version
        return {target}
    others = [version for version in model.served if version in model.versions and version != target]
    staying = [version for version in others if model.can_serve_both(version, target)]
    if len(staying) < len(others) and not cuts_off:
        (version, *_) = set(others) - set(staying)
        raise UsageError(
            f"versions {version} and {target} of '{name}' have other tensors or labels, so a server cannot have both; "
            f"--cut-off fails requests that name version {version}"
        )
    return {target, *staying}


def _hold_callers(server: OperatorClient, plan: RolloutPlan) -> None:
    """Name the versions of what calls others, and of what is called, as they are served.

    To load the one makes Triton look at the other again, and it would take the newest version that is there.
    """
    callers = [model for model in plan.models.values() if model.steps and model.current] if plan.targets else []
    called = {name for model in callers for name in model.steps.get(model.current, {})}
    held = [model for model in plan.models.values() if model in callers or (model.name in called and model.current)]
    unnamed = [model for model in held if not model.is_named]
    for model in unnamed:
        model.write(current=model.current, served=model.served, previous=model.previous)
    for model in unnamed:
        if model in callers:
            server.load(model.name)


def _serve(server: OperatorClient, plan: RolloutPlan, name: str, versions: Iterable[int]) -> None:
    model, target = plan.models[name], plan.targets[name]
    model.write(current=target, served=set(versions), previous=plan.previous(name))
    server.load(name)


@contextmanager
def _put_back_on_failure(server: OperatorClient, plan: RolloutPlan) -> Iterator[None]:
    """Have the server serve what it served, and the configurations say so, if the block fails."""
    try:
        yield
    except BaseException as error:
        is_back = False
        with suppress(CoconError, OSError):  # that it fails is told, and not what comes of it
            _put_back(server, [plan.models[name] for name in (*plan.callers, *plan.parts)])
            is_back = True
        if is_back and isinstance(error, ServerError):
            raise UsageError(f"nothing is changed: {error}") from error
        raise


def _put_back(server: OperatorClient, models: Sequence[VersionedModel]) -> None:
    """Have models served as they were; all configurations first, since to load one has Triton look at others."""
    known = [model for model in models if model.current in model.versions]
    for model in known:
        served = [version for version in model.served if version in model.versions]
        model.write(current=model.current, served=served, previous=model.previous)
    for model in models:
        if model in known:
            server.load(model.name)
        else:
            server.unload(model.name)


def _drain(
    server: OperatorClient, leaving: Mapping[str, set[int]], drain_s: float, on_progress: Callable[[str], None]
) -> None:
    """Wait until nobody asks the versions that leave any more, or for as long as they may stay."""
    waited = [(name, version) for name, versions in sorted(leaving.items()) for version in sorted(versions)]
    if not waited:
        return
    begun, counts, asked_at = time.monotonic(), dict[tuple[str, int], int](), time.monotonic()
    on_progress(f"waiting for those who ask {', '.join(f'{name} version {version}' for name, version in waited)}")
    while (now := time.monotonic()) < begun + drain_s and now < asked_at + _QUIET_S:
        found = {each: _num_requests(server, *each) for each in waited}
        if counts and found != counts:
            asked_at = now
        counts = found
        time.sleep(min(_POLL_S, max(0.0, begun + drain_s - now)))


def _num_requests(server: OperatorClient, name: str, version: int) -> int:
    """How many requests a version has had; 0 where it is gone."""
    try:
        found = server.connection.get_inference_statistics(name, str(version), client_timeout=_CALL_TIMEOUT_S)
    except InferenceServerException:
        return 0
    sums = found.model_stats[0].inference_stats
    return int(sums.success.count + sums.fail.count)
