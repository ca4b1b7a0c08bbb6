"""What a promotion or a rollback changes: which versions go together, found before anything is touched.

    plan = promotion(models_of(repository), ["cocon_rgb"], version=None)
    plan.targets                                    # {"cocon_rgb": 3, "cocon": 3}

What calls others, the ensemble and the video model, follows: to its newest version that calls exactly what is to be
served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.embedding.repository import CONFIG_FILE, check_repository
from cocon.serving.rollout.versioned_model import VersionedModel

__all__ = ["ALL", "RolloutPlan", "models_of", "promotion", "return_to_previous"]

ALL = "all"
"""In place of the names of all models."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """Which version of which models is to be current.

    Attributes:
        models: name → model, of the whole repository.
        targets: name → version, of those that change.
        is_back: whether it goes back, so that there is nothing to go back to afterwards.
    """

    models: Mapping[str, VersionedModel]
    targets: Mapping[str, int]
    is_back: bool = False

    @property
    def parts(self) -> list[str]:
        """Of those that change, what is called by others or by nobody."""
        return [name for name in self.targets if not self.models[name].steps]

    @property
    def callers(self) -> list[str]:
        """Of those that change, what calls others."""
        return [name for name in self.targets if self.models[name].steps]

    def previous(self, name: str) -> int:
        """What a later rollback of a model goes to; 0 for nothing."""
        model = self.models[name]
        if self.is_back:
            return 0
        return model.previous if model.current == self.targets[name] else model.current


def models_of(repository: Path) -> dict[str, VersionedModel]:
    """Name → model, of all in a repository.

    Raises:
        UsageError: there is no repository.
        MismatchError: a configuration cannot be read.
    """
    check_repository(repository)
    folders = sorted(path for path in repository.iterdir() if (path / CONFIG_FILE).is_file())
    return {folder.name: VersionedModel.of(folder) for folder in folders if folder.name[0] != "."}


def promotion(models: Mapping[str, VersionedModel], names: Sequence[str], *, version: int | None = None) -> RolloutPlan:
    """Models go to a version, or to their newest.

    Args:
        models: of the repository.
        names: of those meant, or `all`.
        version: the one they go to; of `all`, those that have it.

    Raises:
        UsageError: there is no such model or version, or what would be served does not go together.
    """
    wanted = {}
    for name in _named(models, names):
        model = models[name]
        if ALL in names and model.steps:
            continue  # it follows
        if version is None and model.versions:
            wanted[name] = model.versions[-1]
        elif version in model.versions and version is not None:
            wanted[name] = version
        elif ALL not in names:
            there = ", ".join(map(str, model.versions)) or "none"
            raise UsageError(f"model '{name}' has no version {version or 'at all'}; there are: {there}")
    if not wanted:
        raise UsageError(f"no model has a version {version}; 'cocon serve status' shows those there are")
    return _together(models, wanted, is_back=False)


def return_to_previous(models: Mapping[str, VersionedModel], names: Sequence[str]) -> RolloutPlan:
    """Models go back to what was current before their last promotion.

    Args:
        models: of the repository.
        names: of those meant, or `all`: those that were promoted.

    Raises:
        UsageError: there is no such model, nothing to go back to, or what would be served does not go together.
    """
    meant = [name for name in _named(models, names) if not (ALL in names and models[name].steps)]
    wanted = {name: models[name].previous for name in meant if models[name].previous}
    if missing := [name for name in names if name != ALL and name not in wanted]:
        raise UsageError(
            f"it is not known what model '{missing[0]}' was before; name a version: cocon serve promote "
            f"{missing[0]} --version N"
        )
    if not wanted:
        raise UsageError("nothing was promoted that could be rolled back; 'cocon serve status' shows what is served")
    return _together(models, wanted, is_back=True)


def _named(models: Mapping[str, VersionedModel], names: Sequence[str]) -> list[str]:
    unknown = [name for name in names if name != ALL and name not in models]
    if unknown:
        raise UsageError(
            f"there is no model '{printable(unknown[0])}'; there are: {', '.join(models) or 'none'}; or say '{ALL}'"
        )
    return list(models) if ALL in names else list(dict.fromkeys(names))


def _together(models: Mapping[str, VersionedModel], wanted: dict[str, int], *, is_back: bool) -> RolloutPlan:
    """Complete it: who calls others has them come along, and who is called has the callers follow."""
    called = {
        part: number for name, version in wanted.items() for part, number in _steps(models[name], version).items()
    }
    conflicts = [part for part, number in called.items() if wanted.get(part, number) != number]
    if conflicts and not is_back:
        part = conflicts[0]
        raise UsageError(
            f"version {called[part]} of '{part}' is called by what is to be served, and version {wanted[part]} was "
            "asked for; name those that go together, or 'all' without a version"
        )
    final = {name: model.current for name, model in models.items()} | called | wanted
    targets = {name: version for name, version in (called | wanted).items() if not models[name].steps}
    for name, model in models.items():
        if not model.steps:
            continue
        fitting = [version for version in model.versions if _fits(_steps(model, version), final)]
        if not fitting:
            _refuse_to_break(model, models, final)
            continue
        targets[name] = wanted[name] if wanted.get(name) in fitting else fitting[-1]
    changed = {name: version for name, version in targets.items() if _is_change(models[name], version)}
    return RolloutPlan(models, changed, is_back)


def _steps(model: VersionedModel, version: int) -> Mapping[str, int]:
    return model.steps.get(version, {})


def _fits(steps: Mapping[str, int], final: Mapping[str, int]) -> bool:
    return bool(steps) and all(final.get(part) == version for part, version in steps.items())


def _is_change(model: VersionedModel, version: int) -> bool:
    return model.current != version or model.served != (version,)


def _refuse_to_break(model: VersionedModel, models: Mapping[str, VersionedModel], final: Mapping[str, int]) -> None:
    """Raise unless a model that calls others, and would have none of them to call, has them neither today."""
    steps = _steps(model, model.current)
    if not _fits(steps, {name: each.current for name, each in models.items()}):
        return
    other = next(part for part, version in steps.items() if final.get(part) != version)
    raise UsageError(
        f"no version of '{model.name}' calls version {final.get(other)} of '{other}' with the rest of what would be "
        f"served; name those that go together, such as '{model.name}' or '{ALL}', or export all views again"
    )
