"""The boundary head of a view in its run folder.

    run/views/<view>/boundary_head.safetensors     its tensors
    run/views/<view>/boundary_head.json            its contract, how it was trained, and how good it is

It belongs to the encoder beside it: once that is trained on, the head is refused. A packed run is left as it is.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.locating.boundary_model import BoundaryContract
from cocon.training.boundary_head.learning import BoundarySettings
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.run_folder.files import SUMS_FILE, read_contract

__all__ = ["BoundaryRecord", "head_sha256", "keeps_boundary_heads", "load_boundary_head", "save_boundary_head"]

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


def keeps_boundary_heads(run: Path, views: Iterable[str]) -> bool:
    """Whether a run takes heads of these views; a packed one does not.

    Raises:
        UsageError: a folder cannot be written.
    """
    if (run / SUMS_FILE).is_file():  # it would not cover them
        return False
    for view in views:
        try:
            tempfile.TemporaryFile(dir=run / "views" / view).close()  # root may write what nobody may
        except OSError as error:
            raise _unwritable(run, error) from error
    return True


def save_boundary_head(run: Path, head: BoundaryHead, record: BoundaryRecord) -> None:
    """Write a head and its record beside its encoder; those that are there are replaced.

    Raises:
        UsageError: the folder cannot be written.
    """
    folder = run / "views" / record.contract.view
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}
    content = {"schema": _SCHEMA, "contract": json.loads(record.contract.to_json()), **asdict(record.settings)}
    content |= {"data": record.data, "num_videos": record.num_videos, "figures": dict(record.figures)}
    try:
        with replacing(folder / _WEIGHTS_FILE) as partial:
            save_file(tensors, partial)
        with replacing(folder / _RECORD_FILE) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(run, error) from error


def load_boundary_head(run: Path, view: str) -> tuple[BoundaryHead, BoundaryRecord] | None:
    """The head of a view, in evaluation mode, on the CPU; None where the run has none.

    Raises:
        MismatchError: it is damaged, or was trained for another encoder than the run's.
    """
    folder = run / "views" / view
    if not (folder / _RECORD_FILE).is_file():
        return None
    source = f"boundary head in '{folder}'"
    record = _read_record(folder / _RECORD_FILE, source)
    record.contract.check_encoder(read_contract(folder), source=source)
    head = BoundaryHead(record.contract.embedding_dim)
    try:
        head.load_state_dict(load_file(folder / _WEIGHTS_FILE))
    except Exception as error:  # safetensors raises its own error class, load_state_dict a RuntimeError
        raise MismatchError(f"{source} cannot be read: {error}; train it again") from error
    if head_sha256(head) != record.contract.weights_sha256:
        raise MismatchError(f"{source} is not the one that its record was written for; train it again")
    return head.eval(), record


def head_sha256(head: BoundaryHead) -> str:
    """Over the tensors, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(head.state_dict().items()):
        digest.update(f"{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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
