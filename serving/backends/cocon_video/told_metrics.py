"""What the server's own metrics (Prometheus) tell of videos: how many, how long, and which failed of what.

| metric | labels | what |
|---|---|---|
| `cocon_video_requests_total` | `outcome` | videos answered: `ok`, or the class of the error |
| `cocon_video_clips_total` | | clips embedded |
| `cocon_video_bytes_total` | | bytes of the videos taken in |
"""

from typing import Any

__all__ = ["VideoMetrics"]

_OK = "ok"


class VideoMetrics:
    """Counters of one instance; Triton adds those of all instances up."""

    def __init__(self) -> None:
        import triton_python_backend_utils as triton  # exists only in Triton's worker

        def family(name: str, description: str) -> Any:  # noqa: ANN401  # of Triton's worker
            return triton.MetricFamily(name=name, description=description, kind=triton.MetricFamily.COUNTER)

        self._requests = family("cocon_video_requests_total", "Videos answered, by how that ended")
        # Held: a metric goes with its family.
        self._families = [
            family("cocon_video_clips_total", "Clips of videos that were embedded"),
            family("cocon_video_bytes_total", "Bytes of videos that were taken in"),
        ]
        self._clips, self._bytes = (each.Metric(labels={}) for each in self._families)
        self._by_outcome: dict[str, Any] = {}

    def count(self, num_bytes: int, *, num_clips: int = 0, error: Exception | None = None) -> None:
        """Count one video.

        Args:
            num_bytes: Of its file.
            num_clips: That were embedded.
            error: Why there are none.
        """
        outcome = _OK if error is None else type(error).__name__
        if outcome not in self._by_outcome:
            self._by_outcome[outcome] = self._requests.Metric(labels={"outcome": outcome})
        self._by_outcome[outcome].increment(1)
        self._clips.increment(num_clips)
        self._bytes.increment(num_bytes)
