"""Numbers of versions: one that was given to weights is never given to others, whatever was deleted since.

`.versions.json` of a repository says the highest number that each model ever had. Triton and clients pass over it.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import read_config
from cocon.embedding.repository import CONFIG_FILE, is_version, latest_version

__all__ = ["new_version", "remember"]

_FILE = ".versions.json"


def new_version(root: Path, model: str, wanted: int | None = None) -> int:
    """A number that no version of a model ever had.

    Args:
        root: the repository.
        model: its name.
        wanted: the number it is to be; the next one where there is none.

    Raises:
        UsageError: the wanted number is not above all that were used.
        MismatchError: what was used cannot be read.
    """
    used = _highest(root, model)
    if wanted is not None and wanted <= used:
        raise UsageError(
            f"--version {wanted}: model '{model}' has used the numbers up to {used}, and none is used twice; give "
            f"{used + 1} or more, or 'auto'"
        )
    return wanted or used + 1


def remember(root: Path, versions: Mapping[str, int]) -> None:
    """Note the numbers that models have now; to be done before they appear.

    Raises:
        MismatchError: what was noted before cannot be read.
        StorageError: the disk takes no more.
    """
    noted = _noted(root)
    highest = noted | {model: max(version, noted.get(model, 0)) for model, version in versions.items()}
    if highest != noted:
        with replacing(root / _FILE, is_durable=True) as aside:
            aside.write_text(json.dumps(highest, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _highest(root: Path, model: str) -> int:
    """The highest number used: as noted, or as folders and records tell where nobody has noted any."""
    folder = root / model
    recorded = set()
    if (folder / CONFIG_FILE).is_file():
        ends = (key.rpartition(".")[2] for key in read_config(folder / CONFIG_FILE).parameters)
        recorded = {int(end) for end in ends if is_version(end)}
    return max(_noted(root).get(model, 0), latest_version(folder) or 0, *recorded, 0)


def _noted(root: Path) -> dict[str, int]:
    path = root / _FILE
    try:
        return {str(model): int(version) for model, version in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (AttributeError, TypeError, ValueError) as error:
        raise MismatchError(
            f"'{path}' does not say which version numbers were used: {error}; remove it, and they are counted from the "
            "folders that are there"
        ) from error
