"""The options of commands that can work through a corpus on many cores or machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.client.commands.options import EmbedderOptions
from cocon.core.options import takes_options

if TYPE_CHECKING:
    from cocon.client.bulk.ray_embedder import RaySettings
    from cocon.client.pipeline.embedder_settings import EmbedderSettings

__all__ = ["BulkOptions", "takes_bulk_options"]


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """Who embeds. A command that `takes_bulk_options` has them as its own."""

    engine: Annotated[
        Literal["local", "ray"], typer.Option("--engine", help="Embed in this process, or on all cores by Ray.")
    ] = "local"
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address", metavar="HOST:PORT", help="A cluster of Ray; default: this machine.", show_default=False
        ),
    ] = None

    @property
    def by_ray(self) -> bool:
        """Whether Ray does.

        Raises:
            UsageError: A cluster is named and not asked.
        """
        from cocon.core.errors import UsageError

        if self.ray_address is not None and self.engine != "ray":
            raise UsageError(f"--ray-address '{self.ray_address}' needs --engine ray")
        return self.engine == "ray"

    def settings(self, settings: "EmbedderSettings", index: str) -> "EmbedderSettings | RaySettings":
        """What embeds for an index."""
        if not self.by_ray:
            return settings
        from cocon.client.bulk.shard_folder import shards_beside

        return self.ray_settings(settings, shards_beside(index))

    def forget_shards(self, index: str) -> None:
        """All that was asked for is in the index."""
        if self.by_ray:
            from cocon.client.bulk.shard_folder import remove_shards, shards_beside

            remove_shards(shards_beside(index))

    def embed(
        self,
        videos: Sequence[str],
        embedder_options: EmbedderOptions,
        output: Path | None,
        failures: Path,
        *,
        quiet: bool,
    ) -> None:
        """Embed videos into a folder of shards, and end the command.

        Raises:
            UsageError: The output is none that Ray can write, or as `EmbedderOptions.run`.
        """
        from cocon.client.pipeline.video_embedding import FailedVideo
        from cocon.core.errors import UsageError
        from cocon.core.printable import printable

        if output is None:
            raise UsageError("--engine ray writes Parquet; give --output FOLDER, and no other format")
        if output.exists() and not output.is_dir():
            raise UsageError(f"--output '{printable(output)}' is a file; --engine ray writes a folder of Parquet files")
        run = embedder_options.run_when_needed(videos, failures, quiet=quiet)
        with run as (settings, paths, report), self.ray_settings(settings, output).open() as embedder:
            for result in embedder.embed_many(paths):
                if isinstance(result, FailedVideo):
                    report.note(result)
                else:
                    report.note_video(result)
            embedder.keep_only_used()

    def ray_settings(self, settings: "EmbedderSettings", folder: Path) -> "RaySettings":
        """An embedder that keeps its shards in a folder."""
        from cocon.client.bulk.ray_embedder import RaySettings
        from cocon.core.errors import UsageError

        if settings.profile is not None:
            raise UsageError("--profile counts what this process and its workers do; leave it out with --engine ray")
        return RaySettings(settings, folder, self.ray_address)


takes_bulk_options = takes_options(BulkOptions)
