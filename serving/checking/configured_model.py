"""A model of a repository as the server will read it: its folder, and what its `config.pbtxt` says."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import parameter, read_config, served_by_policy, take_tensors, tensors_of
from cocon.embedding.repository import (
    CONFIG_FILE,
    ENSEMBLE_PLATFORM,
    FUSION_FILE,
    ONNX,
    TORCHSCRIPT,
    version_folders,
    version_key,
)
from cocon.embedding.videos.call_record import VIDEO_BACKEND, VIDEO_FILE

__all__ = ["MAX_TEXT_BYTES", "MODEL_FILES", "ConfiguredModel"]


MODEL_FILES = {
    ONNX.backend: ONNX.file_name,
    TORCHSCRIPT.backend: TORCHSCRIPT.file_name,
    ENSEMBLE_PLATFORM: FUSION_FILE,
    VIDEO_BACKEND: VIDEO_FILE,
}
"""Who may run a model without further trust → the file of a version: those whose files we know not to run code."""

MAX_TEXT_BYTES = 16 << 20
"""Of a configuration, which has some kilobytes of contract a version, and of any other text in a repository."""


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """One model of a repository.

    Attributes:
        folder: of the model.
        config: what its `config.pbtxt` says.
        promoted: a version that is to be served too; 0 for none.
    """

    folder: Path
    config: triton.ModelConfig
    promoted: int = 0

    @classmethod
    def read(cls, folder: Path, *, promoted: int = 0) -> "ConfiguredModel":
        """Read the configuration of a model.

        Args:
            folder: of the model.
            promoted: a version that is to be served too.

        Raises:
            UsageError: it is missing, too large, or no model configuration; the message is a reason, without names.
        """
        path = folder / CONFIG_FILE
        try:
            if not path.is_file():
                raise UsageError(f"it has no file {CONFIG_FILE}")
            if path.stat().st_size > MAX_TEXT_BYTES:
                raise UsageError(f"its {CONFIG_FILE} is larger than {MAX_TEXT_BYTES >> 20} MiB")
            return cls(folder, read_config(path), promoted)
        except (MismatchError, RecursionError) as error:
            raise UsageError(f"its {CONFIG_FILE} is no model configuration: {error.__cause__ or error}") from error
        except OSError as error:
            raise UsageError(f"its {CONFIG_FILE} cannot be read: {error.strerror}") from error

    @property
    def name(self) -> str:
        """What it is called: its folder."""
        return self.folder.name

    @property
    def is_ensemble(self) -> bool:
        """Whether it only hands tensors from model to model."""
        return str(self.config.platform) == ENSEMBLE_PLATFORM

    @property
    def kind(self) -> str:
        """Who runs it: the backend, or the platform where there is none."""
        return str(self.config.backend or self.config.platform)

    @property
    def versions(self) -> dict[int, Path]:
        """Version → folder, ascending."""
        return dict(sorted(version_folders(self.folder).items()))

    @property
    def served_versions(self) -> list[int]:
        """Versions that the server loads by the `version_policy`, without one the newest, and the promoted one."""
        served = self._versions_of_policy
        return [*served, *({self.promoted} & self.versions.keys() - set(served))]

    @property
    def idle_folders(self) -> list[Path]:
        """Folders of versions that the server does not load."""
        served = self.served_versions
        return [folder for version, folder in self.versions.items() if version not in served]

    @property
    def _versions_of_policy(self) -> list[int]:
        return served_by_policy(self.config, self.versions)

    def of_version(self, version: int) -> "ConfiguredModel":
        """The model as it is when this version is served: one that is promoted brings tensors and steps of its own."""
        if version in self._versions_of_policy:
            return self
        config = triton.ModelConfig()
        config.CopyFrom(self.config)
        with suppress(MismatchError):  # a promotion fails by that
            take_tensors(config, tensors_of(self.folder, version))
        return replace(self, config=config)

    @property
    def file_name(self) -> str:
        """Of the file in every version folder; empty where that is not known."""
        return str(self.config.default_model_filename) or MODEL_FILES.get(self.kind, "")

    def parameter(self, key: str, version: int) -> str | None:
        """What the parameters say of a version under this key; None when nothing."""
        return parameter(self.config, version_key(key, version))
