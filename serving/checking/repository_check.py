"""Look at a whole repository, or at one model of it, before a server does.

    check_served(Path("model_repository"))                          # raises where anything is wrong
    check_served(Path("model_repository"), "trusting")              # its maker may run code here
    check_served(Path("model_repository"), models=["cocon_rgb"])    # a model that is to be loaded again
    check_served(Path("model_repository"), models={"cocon_rgb": 3}) # and with another version

What it reads may be written to while it reads: it is for whoever serves a repository that nobody else writes to.
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from cocon.core.errors import CoconError, MismatchError, UsageError
from cocon.core.printable import printable
from cocon.embedding.repository import TORCHSCRIPT, check_repository
from cocon.serving.checking.calling_rules import calling_faults
from cocon.serving.checking.config_rules import config_faults
from cocon.serving.checking.configured_model import ConfiguredModel
from cocon.serving.checking.faults import Fault, Faults, Matter, in_model
from cocon.serving.checking.folder_rules import folder_faults, hidden_faults, link_faults
from cocon.serving.checking.identity_rules import content_faults, contract_faults
from cocon.serving.checking.torchscript_rules import torchscript_faults

__all__ = ["Scrutiny", "check_served", "repository_faults"]

_logger = logging.getLogger(__name__)

Scrutiny: TypeAlias = Literal["full", "trusting", "none"]
"""How closely to look: at everything; at what is no matter of trust in the maker; at nothing."""


def check_served(
    root: Path, scrutiny: Scrutiny = "full", *, models: Collection[str] | Mapping[str, int] | None = None
) -> None:
    """Refuse a repository that could run code, or serves something else than it says.

    What is wrong with a version that is not served, such as one that is being copied there, is a warning.

    Args:
        root: the repository.
        scrutiny: how closely; `trusting` is what `--trust-repository` says.
        models: names of those to look at, or name → version that is to be served too; all as they are by default.

    Raises:
        UsageError: the repository does not exist, or has a fault. Of several, each is a line of the log.
        MismatchError: likewise, where every fault is that a model is not what it says.
    """
    check_repository(root)
    faults = repository_faults(root, models) if scrutiny != "none" else []
    if scrutiny == "trusting":
        faults = [fault for fault in faults if fault.matter is not Matter.TRUST]
    for fault in faults:
        if fault.is_idle:
            _logger.warning("of a version that is not served: %s", fault)
    faults = [fault for fault in faults if not fault.is_idle]
    if not faults:
        return
    are_of_identity = all(fault.matter is Matter.IDENTITY for fault in faults)
    kind: type[CoconError] = MismatchError if are_of_identity else UsageError
    if len(faults) == 1:
        raise kind(str(faults[0]))
    for fault in faults:
        _logger.error("%s", fault)
    raise kind(f"model repository '{printable(root)}' has {len(faults)} faults, named above; it is not served")


def repository_faults(root: Path, models: Collection[str] | Mapping[str, int] | None = None) -> list[Fault]:
    """Everything that is wrong with a repository, or with those of its models that are named, as of `check_served`.

    Also with versions that are not served: see `Fault.is_idle`.
    """
    promoted = models if isinstance(models, Mapping) else {}
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    shown = {folder.name: folder for folder in folders if not folder.name.startswith(".")}
    faults: list[Fault] = []
    if models is None:
        faults += [fault for folder in folders if folder.name not in shown for fault in hidden_faults(folder)]
    read: dict[str, ConfiguredModel] = {}
    for name, folder in shown.items():
        try:
            read[name] = ConfiguredModel.read(folder, promoted=promoted.get(name, 0))
        except UsageError as error:
            if models is None or name in models:
                faults.append(in_model(name, str(error), Matter.FORM))
    asked = (model for name, model in read.items() if models is None or name in models)
    links = link_faults(root, [folder for model in read.values() for folder in model.idle_folders])
    return [*links, *faults, *(fault for model in asked for fault in _model_faults(model, read))]


def _model_faults(model: ConfiguredModel, others: dict[str, ConfiguredModel]) -> Faults:
    for rule in (folder_faults, config_faults):
        faults = list(rule(model))
        yield from faults
        if any(fault.matter is Matter.FORM and not fault.is_idle for fault in faults):
            return  # what else it says cannot be relied on: a file may be a pipe, a name lead elsewhere
    if model.kind == TORCHSCRIPT.backend:
        yield from torchscript_faults(model)
    yield from content_faults(model)
    yield from contract_faults(model)
    yield from calling_faults(model, others)
