"""What has befallen a server and was put right: a file beside its log, `serve-8001.incidents.json`."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cocon.core.atomic import replacing
from cocon.core.printable import escaped, unescaped

__all__ = ["Incident", "IncidentFile"]

_MAX_INCIDENTS = 20


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that the supervisor has met.

    Attributes:
        time: When, in seconds since the epoch.
        what: What was done: `restarted model 'cocon_rgb'`.
        why: What was wrong, on one line.
        log: The kept log of a server that crashed.
    """

    time: float
    what: str
    why: str
    log: Path | None = None

    def __str__(self) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time))
        return f"{moment} {self.what}: {self.why}{f'; log: {self.log}' if self.log else ''}"

    def fields(self) -> dict[str, object]:
        """What JSON holds of it."""
        return asdict(self) | {"log": escaped(self.log) if self.log else None}


class IncidentFile:
    """The newest incidents of a server, the oldest first.

    Args:
        log: The server's log.
    """

    def __init__(self, log: Path) -> None:
        self._path = log.with_suffix(".incidents.json")

    def read(self) -> list[Incident]:
        """All that are kept; none where the file is missing or damaged, as they are told for information only."""
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))
            return [
                Incident(
                    float(entry["time"]),
                    str(entry["what"]),
                    str(entry["why"]),
                    Path(unescaped(entry["log"])) if entry["log"] else None,
                )
                for entry in entries
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def add(self, incident: Incident) -> None:
        """Keep one more."""
        entries = [kept.fields() for kept in [*self.read(), incident][-_MAX_INCIDENTS:]]
        with replacing(self._path) as aside:
            aside.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")

    def forget(self) -> None:
        """Delete the file, if there is one."""
        self._path.unlink(missing_ok=True)
