"""What a model's folder says of its versions: those that are there, are to be served, and are current.

    model = VersionedModel.of(repository / "cocon_rgb")
    model.current, model.versions                   # 2, (1, 2, 3)
    model.write(current=3, served=(2, 3))           # `config.pbtxt`, whole or not at all

A configuration that names no versions has the newest one served, which is current then.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError
from cocon.core.printable import printable
from cocon.embedding.config_files import (
    CURRENT_KEY,
    PREVIOUS_KEY,
    parameter,
    read_config,
    steps_of,
    take_tensors,
    tensors_of,
    version_number,
    write_config,
)
from cocon.embedding.repository import CONFIG_FILE, LABELS_FILE, labels_text, version_folders

__all__ = ["VersionedModel"]


@dataclass(frozen=True, slots=True)
class VersionedModel:
    """A model of a repository.

    Attributes:
        folder: of the model.
        versions: those that are there, ascending.
        served: those that a server is to have, ascending.
        current: the one that callers are to take; 0 where there is no version.
        previous: the one that was current before the last promotion; 0 where that is not known.
        steps: version → model → its version that is called, of what calls others.
        is_named: whether the configuration names the versions that are served, rather than leave it at the newest.
        is_ensemble: whether one configuration, that of the current version, says what all versions call.
    """

    folder: Path
    versions: tuple[int, ...]
    served: tuple[int, ...]
    current: int
    previous: int
    steps: Mapping[int, Mapping[str, int]]
    is_named: bool
    is_ensemble: bool

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read it.

        Raises:
            MismatchError: its configuration is missing, or none.
        """
        path = folder / CONFIG_FILE
        if not path.is_file():
            raise MismatchError(f"'{printable(path)}' is missing; export the model again")
        config, versions = read_config(path), tuple(sorted(version_folders(folder)))
        named = tuple(sorted(set(config.version_policy.specific.versions) & set(versions)))
        served = named or versions[-1:]
        current = version_number(parameter(config, CURRENT_KEY))
        previous = version_number(parameter(config, PREVIOUS_KEY))
        steps = {version: found for version in versions if (found := steps_of(config, version))}
        return cls(
            folder,
            versions,
            served,
            current if current in served else max(served, default=0),
            previous if previous in versions else 0,
            steps,
            bool(named),
            config.HasField("ensemble_scheduling"),
        )

    @property
    def name(self) -> str:
        """Of the model."""
        return self.folder.name

    @property
    def newer(self) -> tuple[int, ...]:
        """Versions that are there and above the current one."""
        return tuple(version for version in self.versions if version > self.current)

    def can_serve_both(self, one: int, other: int) -> bool:
        """Whether two versions have the same tensors and labels, so that one configuration is right for both."""
        shapes, labels = ([of(self.folder, version) for version in (one, other)] for of in (_shapes, _labels))
        return shapes[0] == shapes[1] and labels[0] == labels[1]

    def write(self, *, current: int, served: Collection[int], previous: int = 0) -> None:
        """Say which versions are served; tensors, steps and labels become those of the current one.

        Args:
            current: the one that callers are to take.
            served: all that are loaded, the current one among them.
            previous: what a rollback goes to; 0 for nothing.

        Raises:
            MismatchError: a configuration cannot be read.
            StorageError: the disk takes no more.
        """
        config = read_config(self.folder / CONFIG_FILE)
        take_tensors(config, tensors_of(self.folder, current))
        config.ClearField("version_policy")
        config.version_policy.specific.versions.extend(sorted(served))
        config.parameters[CURRENT_KEY].string_value = str(current)
        config.parameters.pop(PREVIOUS_KEY, None)
        if previous:
            config.parameters[PREVIOUS_KEY].string_value = str(previous)
        labels = _labels(self.folder, current)
        if labels is not None:
            with replacing(self.folder / LABELS_FILE) as aside:
                aside.write_text(labels_text(labels), encoding="utf-8")
        with replacing(self.folder / CONFIG_FILE, is_durable=True) as aside:
            write_config(config, aside)


def _shapes(model: Path, version: int) -> dict[str, Any]:
    config = tensors_of(model, version)
    return {tensor.name: (tensor.data_type, tuple(tensor.dims)) for tensor in (*config.input, *config.output)}


def _labels(model: Path, version: int) -> list[str] | None:
    """Class names as the contract of a version says them; None where it says none."""
    for path in sorted((model / str(version)).glob("*.json")):
        try:
            found = json.loads(path.read_text("utf-8")).get("labels")
        except (OSError, ValueError, AttributeError):
            continue  # whoever reads it as a contract says what is wrong with it
        if found:
            return [str(label) for label in found]
    return None
