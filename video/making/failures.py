"""What a dataset folder remembers of videos whose views could not be made: `views/failures.jsonl`.

    {"video": "jump/a.mp4", "video_id": "jump__a.mp4", "content_sha256": "9f...", "recipe": {...},
     "error": {"class": "UnreadableVideoError", "message": "video 'jump/a.mp4' cannot be decoded: ..."}}

A failure counts as long as the video's content and the recipe are the same; one that a busy machine may have caused,
such as a deadline that was missed, is listed but does not count.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocon.core.atomic import append, replacing
from cocon.core.errors import TimedOutError, WorkerDiedError
from cocon.core.printable import escaped, unescaped

__all__ = ["Failure", "FailureMemory"]

# Deadlines are missed on busy machines, and the system ends processes when memory is short.
_MAY_PASS = frozenset((TimedOutError.__name__, WorkerDiedError.__name__))


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed video.

    Attributes:
        video: path in the dataset folder.
        video_id: in the dataset.
        content_sha256: of the file; None if it could not be read.
        recipe: what was to be made of it, as plain JSON.
        kind: class of the error.
        message: one line; it calls the video by its path in the dataset folder.
    """

    video: str
    video_id: str
    content_sha256: str | None
    recipe: Mapping[str, Any]
    kind: str
    message: str

    @property
    def may_pass(self) -> bool:
        """Whether it may have been the machine's fault, and not the video's."""
        return self.kind in _MAY_PASS

    def is_of(self, content_sha256: str | None, recipe: Mapping[str, Any]) -> bool:
        """Whether the same would be tried again, and in vain."""
        return not self.may_pass and (self.content_sha256, self.recipe) == (content_sha256, recipe)

    def line(self) -> str:
        """As one line of JSON; names in their written form (`printable.escaped`)."""
        names = {"video": escaped(self.video), "video_id": escaped(self.video_id)}
        known = {**names, "content_sha256": self.content_sha256, "recipe": self.recipe}
        return json.dumps({**known, "error": {"class": self.kind, "message": self.message}}) + "\n"


class FailureMemory:
    """The failures of a dataset folder, one per video; for the only writer of the folder.

    Args:
        path: the file; it exists while there are failures.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failures = _read(path)
        self.settle(list(self._failures))  # a last line may have been cut

    def of(self, video_id: str) -> Failure | None:
        """What is remembered of a video."""
        return self._failures.get(video_id)

    def note(self, failure: Failure) -> None:
        """Remember a failure, at once."""
        self._failures[failure.video_id] = failure
        with self._path.open("ab", buffering=0) as stream:
            append(stream, failure.line().encode())

    def forget(self, video_id: str) -> None:
        """It is none any more, as soon as the memory is settled."""
        self._failures.pop(video_id, None)

    def settle(self, video_ids: Sequence[str]) -> None:
        """Write the failures of these videos in this order, and forget all others."""
        self._failures = {video_id: self._failures[video_id] for video_id in video_ids if video_id in self._failures}
        text = "".join(failure.line() for failure in self._failures.values())
        if not text:
            self._path.unlink(missing_ok=True)
        elif not self._path.is_file() or self._path.read_bytes() != text.encode():
            with replacing(self._path) as partial:
                partial.write_text(text, encoding="utf-8")


def _read(path: Path) -> dict[str, Failure]:
    failures: dict[str, Failure] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
            error = row.pop("error")
            row |= {name: unescaped(row[name]) for name in ("video", "video_id")}
            failure = Failure(**row, kind=error["class"], message=error["message"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # cut by a kill, or not ours: what it was about is tried again
        failures[failure.video_id] = failure
    return failures
