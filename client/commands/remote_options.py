"""The options of commands that can fetch videos."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.options import takes_options

if TYPE_CHECKING:
    from cocon.client.fetching.remote_embedder import RemoteSettings
    from cocon.client.fetching.remote_files import RemoteFiles
    from cocon.client.pipeline.embedder_settings import EmbedderSettings
    from cocon.client.pipeline.many_videos import ManyVideosEmbedder
    from cocon.video.decoding.limits import MediaLimits

__all__ = ["RemoteOptions", "takes_remote_options"]


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """What may be fetched. A command that `takes_remote_options` has them as its own."""

    remote: Annotated[
        bool, typer.Option("--remote", help="Also fetch videos that are named by URL: https://, s3://, gs://.")
    ] = False
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder of what is fetched.", show_default="~/.cache/cocon/videos")
    ] = None
    cache_bytes: Annotated[int, typer.Option("--cache-bytes", min=1, help="Most bytes in it.")] = 10 << 30

    def check(self, *, by_ray: bool) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: Ray is to fetch.
        """
        from cocon.core.errors import UsageError

        if self.remote and by_ray:
            raise UsageError("--remote fetches to this machine; with --engine ray, give the workers a shared folder")

    def is_name(self, argument: str) -> bool:
        """Whether an argument names a video that may be fetched."""
        from cocon.client.fetching.urls import is_remote

        return self.remote and is_remote(argument)

    @contextmanager
    def files(
        self, paths: Sequence[Path], limits: "MediaLimits"
    ) -> "Iterator[tuple[list[str | Path], RemoteFiles | None]]":
        """The inputs, URLs as they were given; and what fetches them, if it may and there are some.

        Raises:
            UsageError: A store's driver is not installed, a URL holds credentials, or another command uses the cache.
        """
        from cocon.client.fetching.urls import remote_name

        names: list[str | Path] = [remote_name(path) or path for path in paths]
        urls = [name for name in names if isinstance(name, str)]
        if not urls or not self.remote:
            yield names, None
            return
        from cocon.client.fetching.remote_files import RemoteFiles
        from cocon.core.folder_lock import folder_lock

        folder = self.cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cocon" / "videos"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with folder_lock(folder, "cache of videos"):
            files = RemoteFiles(folder, max_cache_bytes=self.cache_bytes, limits=limits)
            files.check(urls)
            yield names, files

    def settings(self, settings: "EmbedderSettings", files: "RemoteFiles") -> "RemoteSettings":
        """An embedder that fetches."""
        from cocon.client.fetching.remote_embedder import RemoteSettings

        return RemoteSettings(settings, files)

    @contextmanager
    def opened(
        self, paths: Sequence[Path], settings: "EmbedderSettings"
    ) -> "Iterator[tuple[ManyVideosEmbedder, list[str | Path]]]":
        """An embedder for the inputs, and their names; raises like `files` and `VideoEmbedder`."""
        with self.files(paths, settings.limits) as (names, files):
            opened = settings.open() if files is None else self.settings(settings, files).open()
            with opened as embedder:
                yield embedder, names


takes_remote_options = takes_options(RemoteOptions)
