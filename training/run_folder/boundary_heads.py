"""The boundary head of a view in its run folder.

    run/views/<view>/boundary_head.safetensors     its tensors
    run/views/<view>/boundary_head.json            its contract, how it was trained, and how good it is

It belongs to the encoder beside it: once that is trained on, the head is refused. A packed run is left as it is.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.locating.boundary_model import BoundaryContract
from cocon.training.boundary_head.learning import BoundarySettings
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.run_folder.view_files import ViewFiles, load_tensors, save_tensors, tensors_sha256

__all__ = ["BoundaryRecord", "check_writable", "read_head", "write_head"]

_WEIGHTS_FILE = "boundary_head.safetensors"
_RECORD_FILE = "boundary_head.json"
# Of the record. The tensors alone do not tell how far apart the moments are that a head sees: in 1, less than now.
_SCHEMA = 2


@dataclass(frozen=True, slots=True)
class BoundaryRecord:
    """What is known of a trained head.

    Attributes:
        contract: what it takes.
        settings: how it was trained.
        data: name of the folder of its videos.
        num_videos: that it was trained on.
        figures: of its segments in the validation videos, per cent.
    """

    contract: BoundaryContract
    settings: BoundarySettings
    data: str
    num_videos: int
    figures: Mapping[str, float]


def check_writable(run: Path, folder: Path) -> None:
    """Raise `UsageError` if the folder of a view of the run cannot be written."""
    try:
        tempfile.TemporaryFile(dir=folder).close()  # root may write what nobody may
    except OSError as error:
        raise _unwritable(run, error) from error


def write_head(run: Path, folder: Path, head: BoundaryHead, record: BoundaryRecord) -> None:
    """Write a head and its record into the folder of its view of the run; raises like `check_writable`."""
    content = {"schema": _SCHEMA, "contract": json.loads(record.contract.to_json()), **asdict(record.settings)}
    content |= {"data": record.data, "num_videos": record.num_videos, "figures": dict(record.figures)}
    try:
        save_tensors(folder / _WEIGHTS_FILE, head.state_dict())
        with replacing(folder / _RECORD_FILE) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(run, error) from error


def read_head(view: ViewFiles) -> tuple[BoundaryHead, BoundaryRecord] | None:
    """The head of a view, in evaluation mode, on the CPU; None where there is none.

    Raises:
        MismatchError: it is damaged, or was trained for another encoder than the view's.
    """
    if not (view.folder / _RECORD_FILE).is_file():
        return None
    source = f"boundary head in '{view.folder}'"
    record = _read_record(view.folder / _RECORD_FILE, source)
    record.contract.check_encoder(view.contract(), source=source)
    head = BoundaryHead(record.contract.embedding_dim)
    try:
        head.load_state_dict(load_tensors(view.folder / _WEIGHTS_FILE))
    except Exception as error:  # safetensors raises its own error class, load_state_dict a RuntimeError
        raise MismatchError(f"{source} cannot be read: {error}; train it again") from error
    if tensors_sha256(head.state_dict()) != record.contract.weights_sha256:
        raise MismatchError(f"{source} is not the one that its record was written for; train it again")
    return head.eval(), record


def _unwritable(run: Path, error: OSError) -> UsageError:
    return UsageError(f"run '{run}' cannot keep a boundary head ({error.strerror or error}); copy it to where it can")


def _read_record(path: Path, source: str) -> BoundaryRecord:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != _SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        return BoundaryRecord(
            contract=BoundaryContract.from_json(json.dumps(content["contract"]), source=source),
            settings=BoundarySettings(**{name: content[name] for name in BoundarySettings.__slots__}),
            data=str(content["data"]),
            num_videos=int(content["num_videos"]),
            figures={str(name): float(value) for name, value in content["figures"].items()},
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise MismatchError(f"{source} has no sound record: {error!r}; train it again") from error
