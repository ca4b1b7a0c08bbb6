"""Options that several commands share."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.client.collection.urls import is_collection_url
from cocon.client.models.defaults import API_KEY_HEADER, BATCH_DEADLINE_S, DEFAULT_URL
from cocon.core.options import Log, Quiet, Verbose, takes_options
from cocon.embedding.repository import FormatName
from cocon.video.decoding.limits import LIMIT_HELP, MediaLimits
from cocon.video.views import VIEWS

if TYPE_CHECKING:
    from cocon.client.models.connect import ModelHost
    from cocon.client.models.connections.credentials import Credentials
    from cocon.client.output.batch_report import BatchReport
    from cocon.client.pipeline.embedder_settings import EmbedderSettings
    from cocon.client.pipeline.video_embedder import VideoEmbedder

__all__ = [
    "AsJson",
    "DeadlineS",
    "EmbedderOptions",
    "Failures",
    "IndexName",
    "Limits",
    "ModelFormatOption",
    "Output",
    "Overlap",
    "ProfileOutput",
    "Profiled",
    "Quiet",
    "RowFormat",
    "ServerOptions",
    "SharedMemory",
    "Strict",
    "TextFormat",
    "TimeoutS",
    "Urls",
    "Videos",
    "Views",
    "VotingIndex",
    "WaitS",
    "named_index",
    "takes_embedder_options",
    "takes_server_options",
]


def named_index(name: str) -> str:
    """The name of an index: a folder in its usual form, or a URL as it is."""
    if not name.strip():
        raise typer.BadParameter("it is empty; name a folder")
    return name if is_collection_url(name) else str(Path(name))


Videos = Annotated[
    list[str], typer.Argument(help="Files, folders, globs, @list.txt, or - for a list on stdin.", show_default=False)
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        help="HOST:PORT of Triton, grpcs://HOST:PORT by TLS, or local:FOLDER; several servers share the work.",
        show_default=f"COCON_URL, or {DEFAULT_URL}",
    ),
]
CertificatesOfSigners = Annotated[
    str | None,
    typer.Option(
        "--ca",
        envvar="COCON_CA",
        metavar="FILE",
        help="Certificates that a server's must be signed by.",
        show_default="those of the system",
    ),
]
OwnCertificate = Annotated[
    str | None,
    typer.Option(
        "--cert",
        envvar="COCON_CERT",
        metavar="FILE",
        help="Certificate to show to a server that asks for one.",
        show_default=False,
    ),
]
OwnKey = Annotated[
    str | None,
    typer.Option("--key", envvar="COCON_KEY", metavar="FILE", help="Private key of --cert.", show_default=False),
]
ApiKeyFile = Annotated[
    str | None,
    typer.Option(
        "--api-key-file",
        envvar="COCON_API_KEY_FILE",
        metavar="FILE",
        help="Key to send with every request.",
        show_default="COCON_API_KEY",
    ),
]
ApiKeyHeader = Annotated[
    str, typer.Option("--api-key-header", envvar="COCON_API_KEY_HEADER", metavar="NAME", help="What it is sent as.")
]
Views = Annotated[
    list[str] | None,
    typer.Option("--view", help=f"{', '.join(VIEWS)}; several are fused; all.", show_default="rgb, or the index's"),
]
ModelFormatOption = Annotated[
    FormatName,
    typer.Option("--model-format", help="Which export to run; int8 and fp16 are near the others, docs/export.md."),
]
SharedMemory = Annotated[
    bool,
    typer.Option(
        "--shared-memory/--no-shared-memory", help="Share memory with a server on this machine, where it allows that."
    ),
]
IndexName = Annotated[
    str,
    typer.Option(
        "--index",
        envvar="COCON_INDEX",
        parser=named_index,
        metavar="PATH",
        help="Folder of the index, or milvus://HOST:PORT/NAME.",
    ),
]
VotingIndex = Annotated[
    str | None,
    typer.Option(
        "--index",
        parser=named_index,
        metavar="PATH",
        help="Ask the labelled videos of this index, and no classifier.",
        show_default=False,
    ),
]
Overlap = Annotated[
    float, typer.Option("--overlap", min=0.0, max=0.9, help="Share of a clip that the next repeats, in whole blocks.")
]
TimeoutS = Annotated[float, typer.Option("--timeout-s", min=0.001, help="Deadline of a request, in seconds.")]
DeadlineS = Annotated[
    float | None,
    typer.Option(
        "--deadline-s",
        min=0.001,
        help="How long to ask again while a server is away or has no room, in seconds; if given, also one not yet up.",
        show_default=f"{BATCH_DEADLINE_S:g} for embed, classify and index add, once it has answered; else --timeout-s",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Output = Annotated[Path | None, typer.Option("--output", help="Write to a file; its ending can name the format.")]
RowFormat = Annotated[
    Literal["table", "json", "jsonl", "parquet", "npz"] | None, typer.Option("--format", help="Form of the rows.")
]
TextFormat = Annotated[Literal["table", "json", "jsonl"] | None, typer.Option("--format", help="Form of the rows.")]
Failures = Annotated[Path, typer.Option("--failures", help="Where failed videos are listed, if there are any.")]
Limits = Annotated[list[str] | None, typer.Option("--limit", help=LIMIT_HELP)]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Refuse damaged videos, and views made by other estimators than the model learned from."
    ),
]
Profiled = Annotated[bool, typer.Option("--profile", help="Tell at the end how long each stage took.")]
ProfileOutput = Annotated[
    Path | None, typer.Option("--profile-output", help="File for that as JSON, in place of a table.")
]
WaitS = Annotated[
    float, typer.Option("--wait-s", min=0.0, help="How long to wait for another writer of the index, in seconds.")
]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of every command that asks models. A command that `takes_server_options` has them as its own."""

    urls: Urls = None
    timeout_s: TimeoutS = 30.0
    ca: CertificatesOfSigners = None
    cert: OwnCertificate = None
    key: OwnKey = None
    api_key_file: ApiKeyFile = None
    api_key_header: ApiKeyHeader = API_KEY_HEADER
    verbose: Verbose = False
    log: Log = "text"

    @property
    def url(self) -> str:
        """Those of a repeated `--url`, with commas between; the variable COCON_URL by default.

        Raises:
            UsageError: A folder is named beside other places.
        """
        from cocon.client.models.connect import local_root
        from cocon.core.errors import UsageError

        given = self.urls or ()
        for url in given:
            if len(given) > 1 and local_root(url) is not None:
                raise UsageError(f"--url '{url}' is a folder, which stands alone; name it, or servers")
        return ",".join(given) or os.environ.get("COCON_URL") or DEFAULT_URL

    def each(self) -> "list[ServerOptions]":
        """The same for each of several servers alone; raises like `url`."""
        from cocon.client.models.connect import local_root

        urls = [self.url] if local_root(self.url) is not None else self.url.split(",")
        return [replace(self, urls=[url.strip()]) for url in urls]

    @property
    def credentials(self) -> "Credentials":
        """By which a server is known, and who asks it."""
        from cocon.client.models.connections.credentials import Credentials

        return Credentials(self.ca, self.cert, self.key, self.api_key_file, self.api_key_header)

    def connect(self, model_format: FormatName = "onnx") -> "ModelHost":
        """Where the models are; raises like `connect`."""
        from cocon.client.models.connect import connect

        return connect(self.url, timeout_s=self.timeout_s, model_format=model_format, credentials=self.credentials)


@dataclass(frozen=True, slots=True)
class EmbedderOptions(ServerOptions):
    """The options of every command that embeds videos. A command that `takes_embedder_options` has them as its own."""

    view: Views = None
    overlap: Overlap = 0.0
    model_format: ModelFormatOption = "onnx"
    deadline_s: DeadlineS = None
    limit: Limits = None
    strict: Strict = False
    shared_memory: SharedMemory = True
    profile: Profiled = False
    profile_output: ProfileOutput = None

    @property
    def limits(self) -> MediaLimits:
        """Those of a repeated `--limit`."""
        return MediaLimits.parse(self.limit or ())

    def settings(
        self,
        default_views: tuple[str, ...] = ("rgb",),
        *,
        has_probabilities: bool = False,
        deadline_s: float | None = None,
    ) -> "EmbedderSettings":
        """What the options describe, for the views of a repeated, comma-separated `--view`; `deadline_s` by default."""
        from cocon.client.pipeline.embedder_settings import EmbedderSettings
        from cocon.video.output_file import check_output

        if self.profile_output is not None:
            check_output(self.profile_output, option="--profile-output")
        named = tuple(name.strip() for view in self.view or () for name in view.split(",") if name.strip())
        return EmbedderSettings(
            self.url,
            views=named or default_views,
            overlap=self.overlap,
            timeout_s=self.timeout_s,
            deadline_s=deadline_s if self.deadline_s is None else self.deadline_s,
            awaits_start=self.deadline_s is not None,
            model_format=self.model_format,
            limits=self.limits,
            is_strict=self.strict,
            shares_memory=self.shared_memory,
            has_probabilities=has_probabilities,
            profile=str(self.profile_output) if self.profile_output else "" if self.profile else None,
            credentials=self.credentials,
        )

    def open(self, default_views: tuple[str, ...] = ("rgb",), *, has_probabilities: bool = False) -> "VideoEmbedder":
        """The embedder that the options describe."""
        return self.settings(default_views, has_probabilities=has_probabilities).open()

    @contextmanager
    def run(
        self,
        videos: Sequence[str],
        failures: Path,
        *,
        quiet: bool,
        output: Path | None = None,
        default_views: tuple[str, ...] = ("rgb",),
        index: str | None = None,
    ) -> "Iterator[tuple[VideoEmbedder, list[Path], BatchReport]]":
        """Work on the files that `videos` name: the embedder, the files, and the report, by which the command ends.

        The embedder tells classes unless an `index` is asked for them. Nothing is written over the files, nor over
        those of the index.
        """
        paths = _checked_inputs(videos, failures, output, index, profile=self.profile_output)
        settings = self.settings(default_views, has_probabilities=index is None, deadline_s=BATCH_DEADLINE_S)
        with settings.open() as embedder, _reporting(paths, failures, quiet=quiet) as report:
            yield embedder, paths, report
        raise typer.Exit(report.exit_code)

    @contextmanager
    def run_when_needed(
        self,
        videos: Sequence[str],
        failures: Path,
        *,
        quiet: bool,
        default_views: tuple[str, ...],
        output: Path | None = None,
        is_name: Callable[[str], bool] = lambda argument: False,
    ) -> "Iterator[tuple[EmbedderSettings, list[Path], BatchReport]]":
        """The same with an embedder that is still to be opened, by whoever has something for it.

        What nothing is called by may be a name all the same, see `expand_inputs`.
        """
        paths = _checked_inputs(videos, failures, output, is_name=is_name, profile=self.profile_output)
        settings = self.settings(default_views, deadline_s=BATCH_DEADLINE_S)
        with _reporting(paths, failures, quiet=quiet) as report:
            yield settings, paths, report
        raise typer.Exit(report.exit_code)


def _checked_inputs(
    videos: Sequence[str],
    failures: Path,
    output: Path | None = None,
    index: str | None = None,
    *,
    is_name: Callable[[str], bool] = lambda argument: False,
    profile: Path | None = None,
) -> list[Path]:
    """The files that `videos` name; nothing that is written is one of them, nor of an index that is asked."""
    from cocon.client.commands.inputs import expand_inputs, lists_named
    from cocon.client.engines import files_of
    from cocon.video.output_file import check_different, check_no_input, check_output

    paths = expand_inputs(videos, sys.stdin.buffer, is_name=is_name)
    inputs = [*paths, *lists_named(videos), *files_of(index)]
    check_different(output=output, failures=failures, **{"profile-output": profile})
    check_no_input(failures, inputs, option="--failures")
    if profile is not None:
        check_output(profile, inputs, option="--profile-output")
    if output is not None:
        check_output(output, inputs)
    return paths


def _reporting(paths: Sequence[Path], failures: Path, *, quiet: bool) -> "AbstractContextManager[BatchReport]":
    from cocon.client.output.batch_report import batch_report

    return batch_report(len(paths), quiet=quiet, failures=failures)


takes_embedder_options = takes_options(EmbedderOptions)
takes_server_options = takes_options(ServerOptions)
