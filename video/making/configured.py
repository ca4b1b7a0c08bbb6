"""Asks the room that knows configurations, by the entry point of its function, what views one takes.

What is made for training has to suit it, and no import leads there from here (`docs/architecture.md`).
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.video.estimation.flow import FlowSpec

__all__ = ["views_of_configuration"]

_GROUP, _NAME = "cocon.configurations", "views"


def views_of_configuration(
    preset: str | None, method: str | None, settings: Sequence[str], model: Path | None
) -> Mapping[str, FlowSpec | None]:
    """The views of a preset or TOML file, or of a run or model repository, and what a flow among them measures.

    Args:
        preset: name of a preset, or a TOML file.
        method: pre-training that it is for.
        settings: `section.key=value`.
        model: folder of a run or a model repository.

    Raises:
        UsageError: there is no such preset or model, a value is wrong, both are named, or this installation knows none.
        MismatchError: the contract of a model cannot be read.
        ModuleNotFoundError: the extra `training` is not installed.
    """
    found = tuple(entry_points(group=_GROUP, name=_NAME))
    if not found:
        raise UsageError("--preset and --model are not known to this installation of cocon; install it anew")
    named: Mapping[str, FlowSpec | None] = found[0].load()(preset, method, settings, model)
    return named
