"""A whole run of `client bench`: from what was asked for to what was measured."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cocon.client.bench.bare_onnx import BareOnnx, onnx_file
from cocon.client.bench.in_process import InProcess
from cocon.client.bench.measured_model import Request
from cocon.client.bench.measuring import Level, Pace, measure_levels
from cocon.client.bench.report import Facts, facts_of, level_facts
from cocon.client.bench.served import ServedModel
from cocon.client.bench.tensors import clip_requests, made_requests
from cocon.client.models.connect import local_root
from cocon.core.errors import UsageError
from cocon.core.printable import escaped
from cocon.core.progress import OnProgress
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.video.decoding.limits import MediaLimits

__all__ = ["Bench", "run_bench"]

_MADE = ("random", "zero")


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
        subject = (
            InProcess(root, bench.model_name)
            if root is not None
            else ServedModel(bench.url, bench.model_name, timeout_s=bench.timeout_s)
        )
        opened.callback(subject.close)
        if subject.max_batch_size and bench.batch_size > subject.max_batch_size:
            raise UsageError(
                f"--batch-size {bench.batch_size}: model '{subject.name}' takes at most {subject.max_batch_size} rows"
            )
        bare = None if bench.bare is None else _bare(bench.bare, subject)
        requests = _requests(bench, subject)
        facts = facts_of(
            subject,
            url=escaped(bench.url),
            batch_size=bench.batch_size,
            pace=bench.pace,
            sent=escaped(bench.input_data),
        )
        levels: list[Facts] = []
        for measured in measure_levels(subject, bare, requests, bench.levels, bench.pace):
            levels.append(level_facts(measured, bench.batch_size, bench.pace))
            on_progress(len(levels), len(bench.levels))
        return facts | {"bare_software": bare.software if bare else None, "levels": levels}


def _bare(place: str, subject: ServedModel | InProcess) -> BareOnnx:
    if isinstance(subject, ServedModel) and subject.is_ensemble:
        raise UsageError(
            f"model '{subject.name}' is made of others, and has no file; name one of them, or leave out --bare"
        )
    path = onnx_file(local_root(place) or Path(place), subject.name, subject.version)
    return BareOnnx(path, num_instances=subject.num_instances, num_threads=subject.num_threads)


def _requests(bench: Bench, subject: ServedModel | InProcess) -> list[Request]:
    if bench.input_data in _MADE:
        return made_requests(subject.inputs, bench.batch_size, is_random=bench.input_data == "random")
    return clip_requests(Path(bench.input_data), _contract(subject), bench.batch_size, bench.limits)


def _contract(subject: ServedModel | InProcess) -> ModelContract:
    if isinstance(subject, InProcess):
        return subject.contract
    text = subject.contract(ENCODER.contract_key)
    return ENCODER.read(text, source=f"the contract of model '{subject.name}'")
