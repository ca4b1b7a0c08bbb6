"""What `cocon data check` prints: a table for people, or one JSON object per video."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cocon.core.atomic import replacing
from cocon.core.errors import UsageError
from cocon.core.printable import escaped, printable, short_path
from cocon.video.making.checking import CheckedVideo

__all__ = ["CheckFormat", "chosen_format", "print_problems", "summary", "write_rows"]

CheckFormat = Literal["table", "json", "jsonl"]


def chosen_format(wanted: CheckFormat | None, output: Path | None, *, as_json: bool) -> CheckFormat:
    """The format that `--format`, `--json` and the ending of `--output` ask for; a table unless they do.

    Raises:
        UsageError: they contradict each other.
    """
    if as_json and wanted not in (None, "json"):
        raise UsageError(f"--json and --format {wanted} exclude each other")
    if wanted or as_json:
        chosen: CheckFormat = wanted or "json"
    elif output is None:
        chosen = "table"
    elif output.suffix in (".json", ".jsonl"):
        chosen = "jsonl" if output.suffix == ".jsonl" else "json"
    else:
        raise UsageError(f"--output '{printable(output)}' has no known ending (.json, .jsonl); give --format")
    if chosen == "table" and output is not None:
        raise UsageError("a table is for the terminal; give --format json or jsonl for a file")
    return chosen


def write_rows(videos: Sequence[CheckedVideo], chosen: CheckFormat, output: Path | None) -> None:
    """Write JSON to a file, which appears whole, or to standard output; in ASCII, since file names may be any bytes."""
    rows = [json.dumps(video.row()) for video in videos]
    text = "".join(f"{row}\n" for row in rows) if chosen == "jsonl" else "[" + ",\n ".join(rows) + "]\n"
    if output is None:
        sys.stdout.write(text)
        return
    with replacing(output) as partial:
        partial.write_text(text, encoding="utf-8")


def print_problems(videos: Sequence[CheckedVideo]) -> None:
    """Print one line per problem; nothing when there is none."""
    from cocon.core.tables import cell, new_table, print_table

    table = new_table("video", "problem", "message")
    for video in videos:
        for problem in video.problems:
            path = video.entry.path
            message = problem.message.replace(printable(path), printable(path.name))
            table.add_row(cell(short_path(escaped(path))), problem.kind, cell(message))
    if table.row_count:
        print_table(table)


def summary(folder: Path, videos: Sequence[CheckedVideo]) -> str:
    """One line: how many videos are fit for use, what they hold, and how often each problem occurs."""
    usable = [video for video in videos if video.is_usable]
    num_frames, seconds = (sum(getattr(v, name) or 0 for v in videos) for name in ("num_frames", "duration_seconds"))
    kinds = Counter(problem.kind for video in videos for problem in video.problems)
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no problems"
    usable_of = f"{len(usable)} of {len(videos)} videos are usable"
    return f"{printable(folder)}: {usable_of} ({num_frames:,} frames, {seconds:,.1f} s); {found}"
