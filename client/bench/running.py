"""A whole run of `client bench`: from what was asked for to what was measured."""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cocon.client.bench.bare_ensemble import BareEnsemble, bare_steps
from cocon.client.bench.bare_onnx import BareOnnx, onnx_file
from cocon.client.bench.in_process import InProcess
from cocon.client.bench.load import Load
from cocon.client.bench.measured_model import Request
from cocon.client.bench.measuring import Level, Pace, measure_levels
from cocon.client.bench.report import Facts, facts_of, level_facts
from cocon.client.bench.served import ServedModel
from cocon.client.bench.tensors import clip_requests, made_requests
from cocon.client.models.connect import local_root
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.core.errors import UsageError
from cocon.core.printable import escaped, printable
from cocon.core.progress import OnProgress
from cocon.core.proxies import without_credentials
from cocon.embedding.contract import CLIP, ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.video.decoding.limits import MediaLimits

__all__ = ["Bench", "run_bench"]

_MADE = ("random", "zero")
# By which the faster of two is chosen.
_TRIAL_S, _NUM_TRIALS = 0.2, 3

_Bare = TypeVar("_Bare", BareOnnx, BareEnsemble)


@dataclass(frozen=True, slots=True)
class Bench:
    """What is to be measured.

    Attributes:
        url: Where the model is: a server, or `local:FOLDER`.
        model_name: Which.
        levels: Of load.
        pace: How long.
        batch_size: Rows of a request.
        bare: Folder that has the same model, or `local:FOLDER`, to hold it against bare ONNX Runtime.
        input_data: `random`, `zero`, or a video.
        timeout_s: Deadline of a request.
        limits: Of the video.
        shares_memory: Whether tensors go through memory that a server on this machine sees too, where it does.
        credentials: By which a server is known, and who asks it.
    """

    url: str
    model_name: str
    levels: Sequence[Level]
    pace: Pace = field(default_factory=Pace)
    batch_size: int = 1
    bare: str | None = None
    input_data: str = "random"
    timeout_s: float = 30.0
    limits: MediaLimits = field(default_factory=MediaLimits)
    shares_memory: bool = True
    credentials: Credentials = NO_CREDENTIALS


def run_bench(bench: Bench, on_progress: OnProgress) -> Facts:
    """Measure.

    Returns:
        What holds for all levels, and `levels`, as `level_facts` tells each; in plain JSON types.

    Raises:
        UsageError: There is no such model, or it takes no such requests.
        ServerError: The server does not answer, or answered no request of a level.
        MismatchError: A model cannot be loaded, or refuses the requests.
        VideoError: The video cannot be decoded.
    """
    with ExitStack() as opened:
        root = local_root(bench.url)
        if root is None and "," in bench.url:
            raise UsageError(f"--url '{without_credentials(bench.url)}' names several servers; measure one at a time")
        model = (
            InProcess(root, bench.model_name)
            if root is not None
            else ServedModel(
                bench.url,
                bench.model_name,
                timeout_s=bench.timeout_s,
                shares_memory=bench.shares_memory,
                credentials=bench.credentials,
            )
        )
        opened.callback(model.close)
        if model.max_batch_size and bench.batch_size > model.max_batch_size:
            raise UsageError(
                f"--batch-size {bench.batch_size}: model '{model.name}' takes at most {model.max_batch_size} rows"
            )
        requests = _requests(bench, model)
        bare = None if bench.bare is None else _bare(bench.bare, model, requests)
        facts = facts_of(
            model,
            url=escaped(bench.url),
            batch_size=bench.batch_size,
            pace=bench.pace,
            sent=escaped(bench.input_data),
        )
        levels: list[Facts] = []
        for measured in measure_levels(model, bare, requests, bench.levels, bench.pace):
            levels.append(level_facts(measured, bench.batch_size, bench.pace))
            on_progress(len(levels), len(bench.levels))
        shared = None if root is not None else "system" if bench.shares_memory else "none"
        ran = {"shared_memory": shared, "bare_software": bare.software if bare else None}
        return facts | ran | {"levels": levels}


def _bare(place: str, model: ServedModel | InProcess, requests: Sequence[Request]) -> BareOnnx | BareEnsemble:
    """The same model in bare ONNX Runtime."""
    repository = local_root(place) or Path(place)
    if isinstance(model, ServedModel) and model.steps:
        steps = bare_steps(repository, model.steps)
        return _fastest(
            [BareEnsemble(model.name, model.version, steps, spins=spins) for spins in (True, False)], requests
        )
    path = onnx_file(repository, model.name, model.version)
    given = {"num_instances": model.num_instances, "num_threads": model.num_threads}
    return _fastest([BareOnnx(path, **given, spins=spins) for spins in (True, False)], requests)


def _fastest(candidates: Sequence[_Bare], requests: Sequence[Request]) -> _Bare:
    """Whichever is faster here: on cores that others want, threads that spin can cost several times as much."""
    with ExitStack() as opened:
        loads = [opened.enter_context(Load(candidate, requests)) for candidate in candidates]
        trials = [[load.closed(1, _TRIAL_S).requests_per_s for load in loads] for _ in range(_NUM_TRIALS)]
    speeds = [statistics.median(of_one) for of_one in zip(*trials, strict=True)]
    return candidates[speeds.index(max(speeds))]


def _requests(bench: Bench, model: ServedModel | InProcess) -> list[Request]:
    if bench.input_data in _MADE:
        return made_requests(model.inputs, bench.batch_size, is_random=bench.input_data == "random")
    if set(model.inputs) != {CLIP}:
        takes = f"model '{model.name}' takes {', '.join(model.inputs)}, and not the clips of one view"
        raise UsageError(f"--input-data '{printable(bench.input_data)}': {takes}; give random or zero")
    return clip_requests(Path(bench.input_data), _contract(model), bench.batch_size, bench.limits)


def _contract(model: ServedModel | InProcess) -> ModelContract:
    if isinstance(model, InProcess):
        return model.contract
    text = model.contract(ENCODER.contract_key)
    return ENCODER.read(text, source=f"the contract of model '{model.name}'")
