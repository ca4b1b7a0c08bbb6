"""The command `client bench`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.client.commands import options
from cocon.core.errors import UsageError
from cocon.core.options import takes_options

if TYPE_CHECKING:
    from cocon.client.bench.measuring import Level, Pace
    from cocon.client.bench.report import Facts

__all__ = ["bench"]


@dataclass(frozen=True, slots=True)
class _LoadOptions:
    """What load is put on a model, called as in perf_analyzer."""

    concurrency_range: Annotated[
        str | None,
        typer.Option("--concurrency-range", metavar="START:END:STEP", help="Callers at a time.", show_default="1"),
    ] = None
    request_rate_range: Annotated[
        str | None,
        typer.Option(
            "--request-rate-range",
            metavar="START:END:STEP",
            help="Requests a second, however long answers take.",
            show_default=False,
        ),
    ] = None
    request_distribution: Annotated[
        Literal["constant", "poisson"], typer.Option("--request-distribution", help="When those requests come.")
    ] = "poisson"
    max_threads: Annotated[int, typer.Option("--max-threads", min=1, max=1024, help="Most of those at a time.")] = 16

    @property
    def levels(self) -> "list[Level]":
        """One after another."""
        from cocon.client.bench.measuring import Level
        from cocon.client.bench.ranges import concurrencies, request_rates

        if self.request_rate_range is None:
            callers = "1" if self.concurrency_range is None else self.concurrency_range
            return [Level(concurrency=number) for number in concurrencies(callers)]
        if self.concurrency_range is not None:
            raise UsageError("--concurrency-range and --request-rate-range exclude each other; give one of them")
        return [Level(request_rate=rate) for rate in request_rates(self.request_rate_range)]


@dataclass(frozen=True, slots=True)
class _WindowOptions:
    """How long a load is measured, called likewise."""

    measurement_interval: Annotated[
        int, typer.Option("--measurement-interval", "-p", min=50, max=600_000, help="Of a window, in ms.")
    ] = 1000
    stability_percentage: Annotated[
        float, typer.Option("--stability-percentage", "-s", min=0.1, help="By how much the last 3 windows may differ.")
    ] = 10.0
    max_trials: Annotated[int, typer.Option("--max-trials", "-r", min=3, max=100, help="Most windows of a level.")] = 10
    percentile: Annotated[
        int | None,
        typer.Option(
            "--percentile", min=1, max=99, help="Latency to judge by, in place of the mean.", show_default=False
        ),
    ] = None
    latency_threshold: Annotated[
        float | None,
        typer.Option(
            "--latency-threshold", "-l", min=0.0, help="In ms: no level after one beyond it.", show_default=False
        ),
    ] = None

    def pace(self, load: _LoadOptions) -> "Pace":
        """What they describe, for a load."""
        from cocon.client.bench.measuring import Pace

        return Pace(
            interval_s=self.measurement_interval / 1000,
            stability=self.stability_percentage / 100,
            max_trials=self.max_trials,
            percentile=self.percentile,
            threshold_s=None if self.latency_threshold is None else self.latency_threshold / 1000,
            is_poisson=load.request_distribution == "poisson",
            max_callers=load.max_threads,
        )


@options.takes_server_options
@takes_options(_LoadOptions)
@takes_options(_WindowOptions)
def bench(
    server_options: options.ServerOptions = options.ServerOptions(),
    view: Annotated[str, typer.Option("--view", help="View whose encoder is measured.")] = "rgb",
    model_format: options.ModelFormatOption = "onnx",
    model_name: Annotated[
        str | None,
        typer.Option("--model-name", "-m", help="Any model of the server, in place of a view's.", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, max=256, help="Clips of a request.")] = 1,
    load_options: _LoadOptions = _LoadOptions(),
    input_data: Annotated[
        str, typer.Option("--input-data", metavar="random|zero|VIDEO", help="What is sent.")
    ] = "random",
    shared_memory: Annotated[
        Literal["none", "system"],
        typer.Option("--shared-memory", help="With a server on this machine, where it allows that."),
    ] = "system",
    bare: Annotated[
        str | None,
        typer.Option(
            "--bare", metavar="FOLDER", help="Model repository: the same file in bare ONNX Runtime.", show_default=False
        ),
    ] = None,
    window_options: _WindowOptions = _WindowOptions(),
    latency_report_file: Annotated[
        Path | None,
        typer.Option("--latency-report-file", "-f", help="CSV, a line for each level.", show_default=False),
    ] = None,
    limit: options.Limits = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how many clips a second a model answers, and how fast, at one load after another.

    The options are called as perf_analyzer's. Latencies are of requests; queue, input, infer and output are the
    server's own account, in ms of a request. With --bare, windows of the same model in bare ONNX Runtime, with the
    server's number of instances and threads, take turns with those of the server.

    Example: client bench --concurrency-range 1:8:1 --bare model_repository
    """
    from cocon.client.bench.report import write_csv
    from cocon.client.bench.running import Bench, run_bench
    from cocon.core.progress import progress_bar
    from cocon.embedding.embedder import ENCODER
    from cocon.embedding.repository import FORMATS
    from cocon.video.decoding.limits import MediaLimits
    from cocon.video.output_file import check_output
    from cocon.video.views import view_named

    encoder = ENCODER.name(view_named(view).name, FORMATS[model_format])
    name = encoder if model_name is None else model_name
    levels, pace, limits = load_options.levels, window_options.pace(load_options), MediaLimits.parse(limit or ())
    if latency_report_file is not None:
        check_output(latency_report_file, option="--latency-report-file")
    asked = Bench(
        server_options.url,
        name,
        levels,
        pace,
        batch_size,
        bare,
        input_data,
        server_options.timeout_s,
        limits,
        shares_memory=shared_memory == "system",
        credentials=server_options.credentials,
    )
    with progress_bar("measuring", unit="levels", is_quiet=quiet) as on_progress:
        facts = run_bench(asked, on_progress)
    if latency_report_file is not None:
        write_csv(latency_report_file, facts)
    _print(facts, as_json=as_json)


def _print(facts: "Facts", *, as_json: bool) -> None:
    from cocon.client.bench.report import shown_columns, shown_row
    from cocon.client.output.sinks import print_rows
    from cocon.core.printable import printable
    from cocon.core.texts.json_text import print_json

    if as_json:
        print_json(facts)
        return
    rows = [shown_row(level, facts["model"]) for level in facts["levels"]]
    title = (
        f"{facts['model']} version {facts['version']} at {facts['url']} ({facts['software']}), "
        f"{facts['instances']} x {facts['threads'] or 'all'} threads, {facts['batch_size']} clips a request"
    )
    print_rows(shown_columns(rows), rows, title=printable(title))
