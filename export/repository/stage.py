"""Prepare new versions of models beside the repository they are for."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import GateError, MismatchError
from cocon.embedding.config_files import CURRENT_KEY, parameter, read_config, tensors_of, write_config
from cocon.embedding.repository import (
    CARD_FILE,
    CONFIG_FILE,
    LABELS_FILE,
    SHA256_KEY,
    labels_text,
    latest_version,
    version_folders,
    version_key,
)
from cocon.export.artefacts.fidelity import Fidelity
from cocon.export.artefacts.parity import Parity
from cocon.export.repository.model_config import add_version, take_records
from cocon.export.repository.numbering import new_version
from cocon.video.store.dataset import content_sha256

__all__ = ["Draft", "Exported", "Stage"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A model that the repository should have.

    Attributes:
        config: its configuration, without any version.
        file_name: of the model in its version folder.
        identity: parameters, the version left out, that tell whether a version of this model is up to date.
        write: makes the file at the given path.
        card: the model card of what was, or is already, exported.
        embedding_dim: numbers of the vector it gives.
        labels: class names; empty without a classifier.
        contract: name and text of the file beside the model, where it has a contract.
        check: compares the file at the given path with what it stands for; None where it computes nothing.
        reference: what it is compared with, in words.
        figures: what `check` returns.
        is_optional: the others are published even if its gate refuses it.
    """

    config: triton.ModelConfig
    file_name: str
    identity: Mapping[str, str] = field(repr=False)
    write: Callable[[Path], None]
    card: "Callable[[Exported], str]"
    embedding_dim: int
    labels: tuple[str, ...] = ()
    contract: tuple[str, str] | None = field(default=None, repr=False)
    check: Callable[[Path], Parity | Fidelity] | None = None
    reference: str = ""
    figures: type[Parity] | type[Fidelity] = Parity
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """One model of the repository after an export.

    Attributes:
        model: its name.
        version: the newest.
        is_new: whether this export wrote it; otherwise it was there.
        embedding_dim: numbers of the vector it gives.
        num_labels: K; 0 without a classifier.
        num_bytes: size of the model file.
        sha256: of the model file.
        parity: figures of the gate; None for the ensemble, which computes nothing itself, and for variants.
        fidelity: figures of a variant's gate.
    """

    model: str
    version: int
    is_new: bool
    embedding_dim: int
    num_labels: int
    num_bytes: int
    sha256: str
    parity: Parity | None
    fidelity: Fidelity | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where models are prepared.

    Attributes:
        repository: what they are for.
        folder: where they are prepared, on the same file system.
        overwrite: prepare even what is up to date, and forget earlier versions.
        on_progress: called with what happens next, in words.
        version: number of what is new; None for the next one of each model.
    """

    repository: Path
    folder: Path
    overwrite: bool
    on_progress: Callable[[str], None]
    version: int | None = None

    def prepare(self, draft: Draft) -> Exported:
        """Write a new version of a model into `folder`, unless the newest one in the repository is up to date.

        The model's card is written there in any case: what is known of the training may have changed. So are settings
        of the server that are others than those in the repository.

        Raises:
            GateError: the file does not compute what it stands for.
            UsageError: the model had a version of the wanted number, or one above it.
            MismatchError: what is there cannot be read.
        """
        model = self.repository / draft.config.name
        earlier = None
        if not self.overwrite and (model / CONFIG_FILE).is_file():
            earlier = read_config(model / CONFIG_FILE)
        version = latest_version(model)
        if earlier is not None and version is not None and _is_up_to_date(model, version, draft, earlier):
            text = parameter(earlier, version_key(draft.figures.KEY, version))
            path = model / str(version) / draft.file_name
            exported = _exported(draft, path, draft.figures.from_json(text) if text else None, is_new=False)
            self._write_card(draft, exported)
            self._write_settings(draft, earlier, version)
            return exported
        number = new_version(self.repository, draft.config.name, self.version)
        path = self.folder / draft.config.name / str(number) / draft.file_name
        path.parent.mkdir(parents=True)
        exported = _exported(draft, path, self._written(draft, path), is_new=True)
        self._describe(draft, exported, earlier)
        self._write_card(draft, exported)
        return exported

    def _written(self, draft: Draft, path: Path) -> Parity | Fidelity | None:
        """Write a model and its contract, and pass it through its gate."""
        name = draft.config.name
        if draft.check is None:
            draft.write(path)
            return None
        self.on_progress(f"{name}: writing")
        draft.write(path)
        if draft.contract is not None:
            file_name, text = draft.contract
            path.with_name(file_name).write_text(text, encoding="utf-8")
        self.on_progress(f"{name}: comparing with {draft.reference}")
        try:
            return draft.check(path)
        except (GateError, MismatchError) as error:
            raise GateError(f"{name}: {error}") from error

    def _write_card(self, draft: Draft, exported: Exported) -> None:
        path = self.folder / draft.config.name / CARD_FILE
        path.parent.mkdir(exist_ok=True)
        path.write_text(draft.card(exported), encoding="utf-8")

    def _write_settings(self, draft: Draft, earlier: triton.ModelConfig, version: int) -> None:
        """Write the configuration of a model that is up to date, if it is to be served in another way."""
        config = triton.ModelConfig()
        config.CopyFrom(draft.config)
        take_records(config, earlier, version_folders(self.repository / draft.config.name))
        _name_version(config, version)
        if config != earlier:
            self.on_progress(f"{draft.config.name}: other settings for the server")
            write_config(config, self.folder / draft.config.name / CONFIG_FILE)

    def _describe(self, draft: Draft, exported: Exported, earlier: triton.ModelConfig | None) -> None:
        """Write configuration and labels of a version that has just been written."""
        figures = exported.parity or exported.fidelity
        record = {**draft.identity, SHA256_KEY: exported.sha256} | ({figures.KEY: figures.to_json()} if figures else {})
        config = triton.ModelConfig()
        config.CopyFrom(draft.config)
        add_version(config, exported.version, record)
        model, present = self.folder / draft.config.name, self.repository / draft.config.name
        write_config(draft.config, model / str(exported.version) / CONFIG_FILE)
        if earlier is not None:
            take_records(config, earlier, version_folders(present))
        _name_version(config, exported.version)
        write_config(config, model / CONFIG_FILE)
        if CURRENT_KEY in config.parameters:  # the labels, too, are those of the version that is served
            _keep_labels(present, model)
        elif draft.labels:
            (model / LABELS_FILE).write_text(labels_text(draft.labels), encoding="utf-8")


def _name_version(config: triton.ModelConfig, version: int) -> None:
    """Have an ensemble served in that version alone: what it calls is said once for all of them."""
    if config.HasField("ensemble_scheduling") and CURRENT_KEY not in config.parameters:
        config.version_policy.specific.versions[:] = [version]


def _keep_labels(present: Path, staged: Path) -> None:
    if (present / LABELS_FILE).is_file():
        shutil.copyfile(present / LABELS_FILE, staged / LABELS_FILE)


def _exported(draft: Draft, path: Path, figures: Parity | Fidelity | None, *, is_new: bool) -> Exported:
    return Exported(
        model=draft.config.name,
        version=int(path.parent.name),
        is_new=is_new,
        embedding_dim=draft.embedding_dim,
        num_labels=len(draft.labels),
        num_bytes=path.stat().st_size,
        sha256=content_sha256(path),
        parity=figures if isinstance(figures, Parity) else None,
        fidelity=figures if isinstance(figures, Fidelity) else None,
    )


def _is_up_to_date(model: Path, version: int, draft: Draft, config: triton.ModelConfig) -> bool:
    """Whether a version has the draft's identity and tensors, and its file is sound."""
    path = model / str(version) / draft.file_name
    same = all(parameter(config, version_key(key, version)) == text for key, text in draft.identity.items())
    same = same and [tensor.name for tensor in tensors_of(model, version).output] == [
        tensor.name for tensor in draft.config.output
    ]
    return same and path.is_file() and parameter(config, version_key(SHA256_KEY, version)) == content_sha256(path)
