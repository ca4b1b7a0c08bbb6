"""Which videos of an index are meant by a path, and which are to be forgotten because they are gone."""

import os
from collections.abc import Callable, Iterable, Sequence

from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.catalogue.places import stamp_of
from cocon.client.index.catalogue.schema import Select
from cocon.client.index.changes.missing_files import doubtful_folders, is_gone
from cocon.client.index.changes.observation import absolute
from cocon.client.index.query.stored import parse_id
from cocon.core.errors import UsageError
from cocon.core.printable import escaped, printable, unescaped
from cocon.core.texts.normal_forms import one_form

__all__ = ["gone_videos", "named_videos"]

# Failed files have a path, too.
_PATHS = "SELECT path FROM places UNION SELECT path FROM failures ORDER BY path"
# Each by the index of its table: one WHERE with OR would look at all paths.
_BELOW = """
SELECT path FROM places WHERE path = ?1 UNION SELECT path FROM places WHERE path >= ?2 AND path < ?3
UNION SELECT path FROM failures WHERE path = ?1 UNION SELECT path FROM failures WHERE path >= ?2 AND path < ?3
ORDER BY path
"""


def named_videos(select: Select, paths: Iterable[str | os.PathLike[str]], index: str) -> list[str]:
    """Videos of an index that are named, or lie in a folder that is; failed files likewise.

    A name means what the index has by exactly that, or by its written form (`printable.escaped`); else what looks the
    same in the other normal form of Unicode, if no file has that very name; else what is the same behind links; else
    the video of the id `id:12`.

    Args:
        select: Asks the catalogue.
        paths: Of videos, or of folders.
        index: Its name, for messages.

    Returns:
        Absolute paths.

    Raises:
        UsageError: A path is empty, the root of the file system, names two videos, or none.
    """
    chosen: dict[str, None] = {}
    for given in paths:
        path = os.fspath(given)
        if not path.strip():
            raise UsageError("a path may not be empty; name a video, or a folder of videos, such as '.'")
        if not absolute(path).strip(os.sep):  # as of "$UNSET/"
            raise UsageError(f"'{printable(path)}' is the whole file system; name a folder in it")
        found = _named(select, path, index) or _looking_alike(select, path) or _behind_links(select, path)
        if not (found := found or _by_id(select, path)):
            named = printable(path if path.startswith("id:") else absolute(path))
            raise UsageError(f"index '{index}' has no video '{named}'; see 'client index list'")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def gone_videos(
    select: Select, folders: Sequence[str | os.PathLike[str]], index: str, *, is_sure: bool = False
) -> tuple[list[str], list[str]]:
    """Videos of an index, and failed files, that are not on the disk any more.

    Args:
        select: Asks the catalogue.
        folders: Where to look; everywhere if there are none.
        index: Its name, for messages.
        is_sure: Whether also those are meant whose disk may not be mounted.

    Returns:
        Absolute paths of those that may be forgotten; and what there is to say of the others, a sentence each.

    Raises:
        UsageError: As `named_videos`.
    """
    paths = named_videos(select, folders, index) if folders else _all(select)
    gone = [path for path in paths if is_gone(path)]
    if not gone or is_sure:
        return gone, []
    stamps = {path: _stamp(select, path) for path in gone}
    living = (path for path in _all(select) if path not in stamps)
    return gone, [
        f"'{printable(folder)}', where {count} video{'s' if count > 1 else ''} of index '{index}' "
        f"{'were' if count > 1 else 'was'}, is empty or gone: its disk may not be mounted"
        for folder, count in doubtful_folders(stamps, living).items()
    ]


def _by_id(select: Select, name: str) -> list[str]:
    """All places of a video that is named by its id, `id:12`."""
    stored = parse_id(name)
    if stored is None or stored[1] is not None:
        return []
    found = select("SELECT path FROM places WHERE video_id = ? ORDER BY path", [stored[0]])
    return [unescaped(path) for (path,) in found]


def _all(select: Select) -> list[str]:
    return [unescaped(path) for (path,) in select(_PATHS, [])]


def _stamp(select: Select, path: str) -> FileStamp | None:
    found = select("SELECT file FROM places WHERE path = ?", [escaped(path)])
    return stamp_of(found[0][0]) if found else None


def _named(select: Select, path: str, index: str) -> list[str]:
    found = _below(select, absolute(path))
    meant = _below(select, absolute(unescaped(path))) if unescaped(path) != path else found
    if found and meant and found != meant:
        raise UsageError(
            f"'{printable(path)}' names two videos of index '{index}': one by its path, the other as it is "
            f"printed; name the first as '{printable(escaped(path))}', the other by its path"
        )
    return found or meant


def _looking_alike(select: Select, path: str) -> list[str]:
    named = os.path.abspath(path)  # noqa: PTH100  # Path.resolve follows links
    if named.isascii() or os.path.lexists(named):  # False for any text
        return []
    return _within(_all(select), one_form(named), one_form)


def _behind_links(select: Select, path: str) -> list[str]:
    named = absolute(path)
    real = os.path.realpath(named)
    found = _below(select, real) if real != named else []
    return found or (_within(_all(select), real, os.path.realpath) if os.path.exists(real) else [])  # noqa: PTH110


def _below(select: Select, path: str) -> list[str]:
    """Videos that are a path, or lie in it."""
    written = escaped(path)
    within = written.rstrip(os.sep) + os.sep
    parameters = [written, within, within[:-1] + chr(ord(os.sep) + 1)]
    return [unescaped(found) for (found,) in select(_BELOW, parameters)]


def _within(videos: Iterable[str], path: str, form: Callable[[str], str]) -> list[str]:
    """The same of videos that are compared in another form."""
    within = path.rstrip(os.sep) + os.sep
    return [video for video in videos if (compared := form(video)) == path or compared.startswith(within)]
