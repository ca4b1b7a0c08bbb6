"""Options of every command that embeds videos, and the run over many of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands.options.runs import checked_inputs, reporting
from cocon.client.commands.options.server import ServerOptions
from cocon.client.commands.options.shared import Limits
from cocon.client.models.defaults import BATCH_DEADLINE_S
from cocon.core.options import takes_options
from cocon.embedding.repository import FormatName
from cocon.video.decoding.limits import MediaLimits
from cocon.video.views import VIEWS

if TYPE_CHECKING:
    from cocon.client.output.batch_report import BatchReport
    from cocon.client.pipeline.embedder_settings import EmbedderSettings
    from cocon.client.pipeline.video_embedder import VideoEmbedder

__all__ = [
    "DeadlineS",
    "EmbedderOptions",
    "ModelFormatOption",
    "Overlap",
    "ProfileOutput",
    "Profiled",
    "SharedMemory",
    "Strict",
    "Views",
    "takes_embedder_options",
]

_DEFAULT_VIEWS = ("rgb",)

Views = Annotated[
    list[str] | None,
    typer.Option(
        "--view", help=f"{', '.join(VIEWS)}; several are fused; all.", show_default="rgb, which is said, or the index's"
    ),
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
Overlap = Annotated[
    float, typer.Option("--overlap", min=0.0, max=0.9, help="Share of a clip that the next repeats, in whole blocks.")
]
DeadlineS = Annotated[
    float | None,
    typer.Option(
        "--deadline-s",
        min=0.001,
        help="How long to ask again while a server is away or has no room, in seconds; if given, also one not yet up.",
        show_default=f"{BATCH_DEADLINE_S:g} for embed, classify and index add, once it has answered; else --timeout-s",
    ),
]
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
        default_views: tuple[str, ...] | None = None,
        *,
        has_probabilities: bool = False,
        deadline_s: float | None = None,
    ) -> "EmbedderSettings":
        """What the options describe, for the views of a repeated, comma-separated `--view`; `deadline_s` by default.

        Without `--view`, `default_views` are those of an index; None for rgb, and that there are others is said.
        """
        from cocon.client.pipeline.embedder_settings import EmbedderSettings
        from cocon.video.output_file import check_output

        if self.profile_output is not None:
            check_output(self.profile_output, option="--profile-output")
        named = tuple(name.strip() for view in self.view or () for name in view.split(",") if name.strip())
        return EmbedderSettings(
            self.url,
            views=named or default_views or _DEFAULT_VIEWS,
            are_views_chosen=bool(named) or default_views is not None,
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

    def open(self, default_views: tuple[str, ...] | None = None, *, has_probabilities: bool = False) -> "VideoEmbedder":
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
        default_views: tuple[str, ...] | None = None,
        index: str | None = None,
    ) -> "Iterator[tuple[VideoEmbedder, list[Path], BatchReport]]":
        """Work on the files that `videos` name: the embedder, the files, and the report, by which the command ends.

        The embedder tells classes unless an `index` is asked for them. Nothing is written over the files, nor over
        those of the index.
        """
        paths = checked_inputs(videos, failures, output, index, profile=self.profile_output)
        settings = self.settings(default_views, has_probabilities=index is None, deadline_s=BATCH_DEADLINE_S)
        with settings.open() as embedder, reporting(paths, failures, quiet=quiet) as report:
            yield embedder, paths, report
        raise typer.Exit(report.exit_code)

    @contextmanager
    def run_when_needed(
        self,
        videos: Sequence[str],
        failures: Path,
        *,
        quiet: bool,
        default_views: tuple[str, ...] | None = None,
        output: Path | None = None,
        is_name: Callable[[str], bool] = lambda argument: False,
    ) -> "Iterator[tuple[EmbedderSettings, list[Path], BatchReport]]":
        """The same with an embedder that is still to be opened, by whoever has something for it.

        What nothing is called by may be a name all the same, see `expand_inputs`.
        """
        paths = checked_inputs(videos, failures, output, is_name=is_name, profile=self.profile_output)
        settings = self.settings(default_views, deadline_s=BATCH_DEADLINE_S)
        with reporting(paths, failures, quiet=quiet) as report:
            yield settings, paths, report
        raise typer.Exit(report.exit_code)


takes_embedder_options = takes_options(EmbedderOptions)
