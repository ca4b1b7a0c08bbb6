"""The clip that videos must be long enough for: a configuration's, as training takes it, or a model's."""

from collections.abc import Sequence
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.embedding.embedder import ENCODER
from cocon.training.config.files import load_config
from cocon.video.clips import ClipSpec
from cocon.video.views import VIEWS

__all__ = ["clip_of_model", "configured_clip"]


def configured_clip(preset: str, method: str | None, settings: Sequence[str]) -> ClipSpec:
    """The clip of a preset or TOML file with a method and `section.key=value` settings; raises as `load_config`."""
    return load_config(preset, [*([f"method={method}"] if method else []), *settings]).clip.spec()


def clip_of_model(folder: Path) -> ClipSpec:
    """The clip of a run or a model repository.

    Raises:
        UsageError: the folder is neither.
        MismatchError: its contract cannot be read.
    """
    if (folder / "config.toml").is_file():
        return load_config(str(folder / "config.toml")).clip.spec()
    for view in VIEWS:
        if current := ENCODER.current(folder, view):
            return current.contract().clip
    raise UsageError(f"'{folder}' is neither a run nor a model repository: it has no config.toml and no cocon_<view>")
