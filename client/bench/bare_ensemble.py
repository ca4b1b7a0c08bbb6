"""The models of an ensemble in ONNX Runtime, one after the other: what one would write oneself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocon.client.bench.bare_onnx import bare_session, bare_software, input_specs, onnx_file
from cocon.client.bench.measured_model import Request
from cocon.client.models.served_work import ServedWork

__all__ = ["BareEnsemble", "BareStep", "bare_steps"]


@dataclass(frozen=True, slots=True)
class BareStep:
    """One model of an ensemble.

    Attributes:
        path: Its file.
        inputs: Name of a tensor of the model → of the ensemble.
        outputs: Likewise.
    """

    path: Path
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class BareEnsemble:
    """A `MeasuredModel` of several files.

    Args:
        name: Of the ensemble.
        version: Of the ensemble.
        steps: In an order in which each has what it needs.
        num_threads: Of each model; 0 for all cores.
        spins: As of `BareOnnx`.

    Raises:
        MismatchError: ONNX Runtime cannot load one of them.
    """

    num_instances, max_batch_size = 1, 0

    def __init__(
        self, name: str, version: str, steps: Sequence[BareStep], *, num_threads: int = 0, spins: bool = True
    ) -> None:
        self.name, self.version, self.num_threads = name, version, num_threads
        self.software = bare_software(spins=spins)
        self._steps = [(bare_session(step.path, num_threads, spins=spins), step) for step in steps]
        made = {name for step in steps for name in step.outputs.values()}
        given = {
            step.inputs[name]: spec for session, step in self._steps for name, spec in input_specs(session).items()
        }
        self.inputs = {name: spec for name, spec in given.items() if name not in made}

    def caller(self) -> "_StepsCaller":
        """A new caller; all share the sessions."""
        return _StepsCaller(self._steps)

    def work(self) -> Mapping[str, ServedWork]:
        """Nobody counts."""
        return {}

    def close(self) -> None:
        """Free the sessions."""
        self._steps.clear()


def bare_steps(repository: Path, steps: Sequence[Any]) -> list[BareStep]:
    """Those of an ensemble on a server, by the files of the versions that it calls in a repository folder.

    Args:
        repository: The folder.
        steps: As of `ServedModel`.

    Raises:
        UsageError: It has not all of them.
    """
    return [
        BareStep(onnx_file(repository, step.model_name, _number(step)), dict(step.input_map), dict(step.output_map))
        for step in steps
    ]


def _number(step: Any) -> str:  # noqa: ANN401  # generated, untyped
    """Of the version that a step calls; empty where it calls what is current."""
    return str(step.model_version) if step.model_version > 0 else ""


class _StepsCaller:
    def __init__(self, steps: Sequence[tuple[Any, BareStep]]) -> None:
        self._steps = steps

    def call(self, request: Request) -> None:
        tensors = dict(request)
        for session, step in self._steps:
            feed = {name: tensors[of_ensemble] for name, of_ensemble in step.inputs.items()}
            tensors |= zip(step.outputs.values(), session.run(list(step.outputs), feed), strict=True)

    def close(self) -> None:
        """Nothing is held."""
