"""What was measured, as rows: for a table, as JSON, and as the CSV of `perf_analyzer`."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cocon.client.bench.measured_model import MeasuredModel
from cocon.client.bench.measuring import Measured, Pace
from cocon.client.models.served_work import ServedWork
from cocon.video.output_file import output_file

__all__ = ["Facts", "facts_of", "level_facts", "shown_columns", "shown_row", "write_csv"]

Facts = dict[str, Any]
"""In plain JSON types."""

_PERCENTILES = (50, 90, 95, 99)
# The columns of `perf_analyzer -f`, but for its client's sending and receiving, which happens within gRPC here.
_CSV_PARTS = {
    "Server Queue": "queue_ms",
    "Server Compute Input": "compute_input_ms",
    "Server Compute Infer": "compute_infer_ms",
    "Server Compute Output": "compute_output_ms",
}


def facts_of(subject: MeasuredModel, *, url: str, batch_size: int, pace: Pace, sent: str) -> Facts:
    """What holds for all levels.

    Args:
        subject: Was measured.
        url: Where it was.
        batch_size: Rows of a request.
        pace: How long was measured.
        sent: What: `random`, `zero`, or a video.
    """
    return {
        "url": url,
        "software": subject.software,
        "model": subject.name,
        "version": subject.version,
        "instances": subject.num_instances,
        "threads": subject.num_threads,
        "batch_size": batch_size,
        "input_data": sent,
        "measurement_interval_ms": pace.interval_s * 1000,
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(mean, 2) for mean in os.getloadavg()],
    }


def level_facts(measured: Measured, batch_size: int, pace: Pace) -> Facts:
    """What a level's windows said; times are in milliseconds, of a request."""
    latencies_ms = measured.latencies_s * 1000
    wanted = sorted({*_PERCENTILES, *filter(None, [pace.percentile])})
    percentiles = np.percentile(latencies_ms, wanted)
    latency = {f"p{number}": round(float(value), 3) for number, value in zip(wanted, percentiles, strict=True)}
    facts: Facts = {
        "concurrency": measured.level.concurrency,
        "request_rate": measured.level.request_rate,
        "clips_per_s": round(batch_size * measured.requests_per_s, 2),
        "requests": len(latencies_ms),
        "windows": len(measured.windows),
        "is_stable": measured.is_stable,
        "errors": measured.num_errors,
        "delayed": measured.num_delayed,
        "latency_ms": {"mean": round(float(latencies_ms.mean()), 3)} | latency,
        "server": {name: _server_facts(work) for name, work in measured.work.items() if work.num_requests},
    }
    return facts | ({"bare": _bare_facts(measured, batch_size)} if measured.bare else {})


def shown_columns(rows: Sequence[Facts]) -> list[str]:
    """Columns of a table of `shown_row`: without those that are empty in all rows."""
    return [column for column in rows[0] if any(row[column] not in (None, "") for row in rows)]


def shown_row(facts: Facts, model: str) -> Facts:
    """A level as a row of a table.

    Args:
        facts: Of `level_facts`.
        model: Whose share of the server's work is shown.
    """
    latency, servers, bare = facts["latency_ms"], facts["server"], facts.get("bare")
    server = servers.get(model, {})
    names = {
        "queue": "queue_ms",
        "input": "compute_input_ms",
        "infer": "compute_infer_ms",
        "output": "compute_output_ms",
    }
    return {
        "callers": facts["concurrency"],
        "requests/s": facts["request_rate"],
        "clips/s": facts["clips_per_s"],
        **{("mean ms" if name == "mean" else name): value for name, value in latency.items()},
        **{column: server.get(name) for column, name in names.items()},
        "batch": server.get("mean_batch_size"),
        "errors": facts["errors"] or None,
        "delayed": facts["delayed"] or None,
        "bare clips/s": bare["clips_per_s"] if bare else None,
        "of bare": bare["ratio"] if bare else None,
        "note": "" if facts["is_stable"] else "not stable",
    }


def write_csv(path: Path, facts: Facts) -> None:
    """Write the columns of `perf_analyzer --latency-report-file`, in microseconds.

    Args:
        path: Appears when it is complete.
        facts: Of a whole run.

    Raises:
        StorageError: The disk takes no more.
    """
    rows = [_csv_row(level, facts["model"]) for level in facts["levels"]]
    with output_file(path, option="--latency-report-file") as place, place.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _csv_row(facts: Facts, model: str) -> Facts:
    latency, servers = facts["latency_ms"], facts["server"]
    server: Mapping[str, float] = servers.get(model, {})
    is_open = facts["concurrency"] is None
    way_ms = max(0.0, latency["mean"] - server.get("request_ms", latency["mean"]))
    return {
        "Request Rate" if is_open else "Concurrency": facts["request_rate" if is_open else "concurrency"],
        "Inferences/Second": facts["clips_per_s"],
        "Network+Server Send/Recv": round(1000 * (way_ms + server.get("overhead_ms", 0.0))),
        **{column: round(1000 * server.get(name, 0.0)) for column, name in _CSV_PARTS.items()},
        **{f"{name} latency": round(1000 * value) for name, value in latency.items() if name != "mean"},
    }


def _server_facts(work: ServedWork) -> Facts:
    """Means over requests."""
    sums = {
        "request_ms": work.request_s,
        "queue_ms": work.queue_s,
        "compute_input_ms": work.input_s,
        "compute_infer_ms": work.infer_s,
        "compute_output_ms": work.output_s,
        "overhead_ms": work.overhead_s,
    }
    means = {name: round(1000 * seconds / work.num_requests, 3) for name, seconds in sums.items()}
    return {"requests": work.num_requests, **means, "mean_batch_size": round(work.mean_batch_size, 2)}


def _bare_facts(measured: Measured, batch_size: int) -> Facts:
    latencies_ms = np.concatenate([window.latencies_s for window in measured.bare]) * 1000
    return {
        "callers": measured.num_bare_callers,
        "clips_per_s": round(batch_size * measured.bare_requests_per_s, 2),
        "mean_latency_ms": round(float(latencies_ms.mean()), 3),
        "ratio": round(measured.requests_per_s / measured.bare_requests_per_s, 3),
    }
