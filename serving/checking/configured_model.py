"""A model of a repository as the server will read it: its folder, and what its `config.pbtxt` says."""

from dataclasses import dataclass
from pathlib import Path

from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import parameter, read_config
from cocon.embedding.repository import (
    CONFIG_FILE,
    FUSION_FILE,
    ONNX,
    TORCHSCRIPT,
    version_folders,
    version_key,
)
from cocon.embedding.videos.call_record import VIDEO_BACKEND, VIDEO_FILE

__all__ = ["ENSEMBLE_PLATFORM", "MODEL_FILES", "ConfiguredModel"]

ENSEMBLE_PLATFORM = "ensemble"

MODEL_FILES = {
    ONNX.backend: ONNX.file_name,
    TORCHSCRIPT.backend: TORCHSCRIPT.file_name,
    ENSEMBLE_PLATFORM: FUSION_FILE,
    VIDEO_BACKEND: VIDEO_FILE,
}
"""Who may run a model without further trust → the file of a version: those whose files we know not to run code."""

# A contract is some kilobytes a version.
_MAX_CONFIG_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """One model of a repository.

    Attributes:
        folder: of the model.
        config: what its `config.pbtxt` says.
    """

    folder: Path
    config: triton.ModelConfig

    @classmethod
    def read(cls, folder: Path) -> "ConfiguredModel":
        """Read the configuration of a model.

        Raises:
            UsageError: it is missing, too large, or no model configuration; the message is a reason, without names.
        """
        path = folder / CONFIG_FILE
        try:
            if not path.is_file():
                raise UsageError(f"it has no file {CONFIG_FILE}")
            if path.stat().st_size > _MAX_CONFIG_BYTES:
                raise UsageError(f"its {CONFIG_FILE} is larger than {_MAX_CONFIG_BYTES >> 20} MiB")
            return cls(folder, read_config(path))
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
        """Versions that the server will load by the `version_policy`; the newest where there is none."""
        policy, present = self.config.version_policy, list(self.versions)
        if policy.HasField("specific"):
            return [version for version in policy.specific.versions if version in present]
        return present if policy.HasField("all") else present[-(policy.latest.num_versions or 1) :]

    @property
    def file_name(self) -> str:
        """Of the file in every version folder; empty where that is not known."""
        return str(self.config.default_model_filename) or MODEL_FILES.get(self.kind, "")

    def parameter(self, key: str, version: int) -> str | None:
        """What the parameters say of a version under this key; None when nothing."""
        return parameter(self.config, version_key(key, version))
