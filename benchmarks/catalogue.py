"""The benchmarks that `make bench` runs, in the order of `docs/performance.md`."""

from dataclasses import dataclass

__all__ = ["BENCHMARKS", "Benchmark"]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A script of this folder that writes a file of results of the same name.

    Attributes:
        name: of both.
        title: what it is about.
        needs_repository: takes `--repository`, a model repository of the packed encoders.
        takes_videos: takes `--videos`, a folder of videos; makes some without it.
    """

    name: str
    title: str
    needs_repository: bool = False
    takes_videos: bool = False


BENCHMARKS = (
    Benchmark("variants", "encoders in ONNX Runtime"),
    Benchmark("serving", "through Triton"),
    Benchmark("overload", "too many requests"),
    Benchmark("soak", "a server for minutes", needs_repository=True),
    Benchmark("transport", "between client and server", needs_repository=True),
    Benchmark("client_bench", "client bench", needs_repository=True),
    Benchmark("overlap", "overlapping clips"),
    Benchmark("embed", "client embed", takes_videos=True),
    Benchmark("video_model", "whole videos to the server", takes_videos=True),
    Benchmark("bulk", "client embed with Ray", needs_repository=True),
    Benchmark("encoders", "encoders of the methods"),
    Benchmark("views", "decoding and views", takes_videos=True),
    Benchmark("moments", "stills of a moment"),
    Benchmark("index", "index"),
    Benchmark("search", "search"),
    Benchmark("training", "training"),
    Benchmark("side_by_side", "trainings side by side"),
    Benchmark("long_videos", "training on long videos"),
)
