"""Whose checkpoints can be imported: where a name on the command line meets what reads such files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from cocon.core.errors import UsageError
from cocon.training.importing.checkpoint_file import Checkpoint, read_checkpoint
from cocon.training.importing.cocon_dpc import read_cocon_dpc
from cocon.training.importing.frame_trunks import read_frame_trunk
from cocon.training.importing.source_encoder import Source, SourceEncoder
from cocon.training.importing.vicc import read_vicc
from cocon.video.views import view_named

__all__ = ["read_encoders"]

_READERS: Mapping[Source, Callable[[Checkpoint, Source, str | None], SourceEncoder]] = MappingProxyType(
    {
        "cocon": read_cocon_dpc,
        "dpc": read_cocon_dpc,
        "vicc": read_vicc,
        "vclr": read_frame_trunk,
        "cyclecontrast": read_frame_trunk,
    }
)


def read_encoders(files: Sequence[Path], source: Source, views: Sequence[str] = ()) -> list[SourceEncoder]:
    """Load one checkpoint per view.

    Args:
        files: at least one.
        source: whose code wrote them.
        views: of the files, in their order; empty to go by what each file says, or else by its input channels.

    Raises:
        UsageError: a file cannot be read, or the views do not match the files.
        MismatchError: a file does not hold a network of that code, or not of that view.
    """
    if views and len(views) != len(files):
        raise UsageError(f"{len(views)} views for {len(files)} files: name one --view for each, or none")
    names: Sequence[str | None] = [view_named(view).name for view in views] or [None] * len(files)
    read = _READERS[source]
    encoders = [read(read_checkpoint(path), source, name) for path, name in zip(files, names, strict=True)]
    found = [each.view for each in encoders]
    if len(set(found)) < len(found):
        raise UsageError(f"the files are of the views {', '.join(found)}; import one file per view")
    return encoders
