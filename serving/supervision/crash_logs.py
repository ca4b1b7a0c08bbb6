"""The logs of servers that crashed, kept beside the log of the one that runs: `serve-8001.crash-<time>.log`.

A new server writes its log where the old one did, so what a crash has left there is moved aside first. The newest few
are kept; a server that crashes again and again fills no disk.
"""

import time
from pathlib import Path

__all__ = ["keep_log", "kept_logs"]

_MAX_LOGS = 5


def keep_log(log: Path) -> Path | None:
    """Move the log of a server that crashed aside, and delete all but the newest.

    Args:
        log: The server's log.

    Returns:
        Where it is now; None when there is none.
    """
    aside = _name(log, time.time())
    try:
        log.rename(aside)
    except FileNotFoundError:
        return None
    for old in kept_logs(log)[_MAX_LOGS:]:
        old.unlink(missing_ok=True)
    return aside


def kept_logs(log: Path) -> list[Path]:
    """The logs of crashes of the server with this log, the newest first."""
    return sorted(log.parent.glob(f"{log.stem}.crash-*{log.suffix}"), reverse=True)


def _name(log: Path, seconds: float) -> Path:
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return log.with_name(f"{log.stem}.crash-{moment}.{int(seconds % 1 * 1_000_000):06d}Z{log.suffix}")
