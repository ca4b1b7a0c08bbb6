"""Videos on the web and in object stores, by fsspec: fetched whole into a cache of bounded size.

files = RemoteFiles(Path("cache"), max_cache_bytes=10 << 30, limits=MediaLimits())
path = files.fetch("https://example.org/a.mp4")         # stays until `let_go`
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from cocon.client.fetching.urls import check_remote, without_secrets
from cocon.client.index.catalogue.file_stamp import FileStamp, ReadContent
from cocon.core.errors import CoconError, TimedOutError, TooLargeError, UnreadableVideoError, UsageError
from cocon.core.printable import in_one_line, printable
from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.cache import PreviewCache, preview_key
from cocon.video.store.dataset import content_sha256
from cocon.video.store.found_videos import VIDEO_SUFFIXES

__all__ = ["RemoteFiles"]

_PART_BYTES = 1 << 20
_CONNECT_TIMEOUT_S = 30.0
# Statuses of HTTP that say that a file is not there.
_GONE = (404, 410)
# So many times as long as a stop may last, a file may come more slowly than that.
_TIMES_A_STOP, _LEAST_BYTES_PER_S = 20, 1024
_MAX_REASON = 300
# What stores say of a file that changes with its content.
_IDENTITY = ("ETag", "etag", "Content-MD5", "Digest", "Last-Modified", "LastModified", "mtime", "updated", "md5Hash")


class RemoteFiles:
    """Files elsewhere. Not safe for several threads.

    Args:
        folder: Of the cache; one process uses it at a time.
        max_cache_bytes: Of all files in it.
        limits: Its `max_bytes` is that of a file, its `frame_timeout_s` how long nothing may come.

    Raises:
        ModuleNotFoundError: fsspec is not installed.
    """

    def __init__(self, folder: Path, *, max_cache_bytes: int, limits: MediaLimits) -> None:
        import fsspec  # noqa: F401  # before any work

        self._cache = PreviewCache(folder, max_cache_bytes)
        self._max_cache_bytes = max_cache_bytes
        self._limits = limits

    def check(self, urls: Iterable[str]) -> None:
        """Refuse, before any work, what cannot be fetched from anywhere.

        Raises:
            UsageError: A store's driver is not installed, or a URL holds credentials.
        """
        import fsspec

        schemes = set()
        for url in urls:
            check_remote(url)
            schemes.add(urlsplit(url).scheme.lower())
        for scheme in sorted(schemes):
            try:
                fsspec.get_filesystem_class(scheme)
            except ImportError as error:
                driver = {"s3": "s3fs", "gs": "gcsfs"}.get(scheme, "'fsspec[http]'")
                raise UsageError(f"videos of '{scheme}://' need a driver; run: pip install {driver}") from error

    def stamp(self, url: str) -> FileStamp | None:
        """What stands for the content that a file has now; None if the store does not say what would change with it.

        Raises:
            VideoError: It is not there, or cannot be reached.
        """
        with self._named(url):
            _, _, info = self._looked_up(url)
        told = [info[name] for name in _IDENTITY if info.get(name)]
        if not told:
            return None
        digest = hashlib.sha256(json.dumps([info.get("size"), *map(str, told)]).encode()).hexdigest()
        return FileStamp(info.get("size") or 0, mtime_ns=int(digest[:15], 16), ctime_ns=0, inode=0, device=-1)

    def content(self, url: str) -> ReadContent:
        """Read a file whole; raises like `fetch`."""
        stamp = self.stamp(url)
        path = self.fetch(url)
        try:
            sha256 = content_sha256(path)
        finally:
            self.let_go(path)
        return ReadContent(sha256, stamp or FileStamp(0, 0, 0, 0, -1), stamp is not None)

    def fetch(self, url: str) -> Path:
        """A file of the cache with a file's content, which stays there until `let_go`.

        Raises:
            TooLargeError: It is larger than the limit, or than the cache.
            TimedOutError: Nothing came for too long.
            UnreadableVideoError: It is not there, or cannot be reached.
        """
        with self._named(url):
            system, path, info = self._looked_up(url)
            size = info.get("size")
            if size is not None:
                self._check_size(url, int(size))
            suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
            key = preview_key(url, size, *(info.get(name) and str(info[name]) for name in _IDENTITY))
            return self._cache.file(
                key,
                suffix if suffix in VIDEO_SUFFIXES else ".video",
                lambda partial: self._copy(url, system, path, partial),
                is_held=True,
            )

    def let_go(self, path: Path) -> None:
        """A file that `fetch` gave is not needed any more; it goes when room is needed."""
        self._cache.let_go(path)

    def _looked_up(self, url: str) -> tuple[Any, str, Mapping[str, Any]]:
        import fsspec

        options: dict[str, Any] = {}
        if url.lower().startswith("http"):
            import aiohttp

            timeout = aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_TIMEOUT_S, sock_read=self._limits.frame_timeout_s
            )
            options = {"client_kwargs": {"timeout": timeout}, "block_size": 0}  # one stream, and no questions for parts
        system, path = fsspec.core.url_to_fs(url, **options)
        system.invalidate_cache()
        return system, path, system.info(path)

    def _copy(self, url: str, system: Any, path: str, partial: Path) -> None:  # noqa: ANN401  # fsspec is untyped
        size, begun_s = 0, time.monotonic()
        with system.open(path, "rb") as source, partial.open("wb") as copy:
            while part := source.read(_PART_BYTES):
                size += len(part)
                self._check_size(url, size)  # what a store says beforehand need not be so
                copy.write(part)
                passed_s = time.monotonic() - begun_s
                if passed_s > _TIMES_A_STOP * self._limits.frame_timeout_s and size < _LEAST_BYTES_PER_S * passed_s:
                    raise TimedOutError(f"video '{printable(url)}' cannot be fetched: it comes too slowly")

    def _check_size(self, url: str, size: int) -> None:
        self._limits.check(printable(url), "max_bytes", size, "bytes")
        if size > self._max_cache_bytes:
            raise TooLargeError(
                f"video '{printable(url)}' has {size} bytes, more than the cache may hold ({self._max_cache_bytes}); "
                "see --cache-bytes"
            )

    @contextmanager
    def _named(self, url: str) -> Iterator[None]:
        """What libraries say of a file, in our words."""
        shown = printable(url)
        try:
            yield
        except CoconError:
            raise
        except FileNotFoundError as error:
            cause = error.__cause__  # fsspec says so of every answer, and where no server answers
            if cause is None or getattr(cause, "status", None) in _GONE:
                raise UnreadableVideoError(f"video '{shown}' does not exist") from error
            raise UnreadableVideoError(f"video '{shown}' cannot be fetched: {_told(cause)}") from error
        except TimeoutError as error:
            raise TimedOutError(f"video '{shown}' cannot be fetched: nothing came for too long") from error
        except Exception as error:  # those of the stores' drivers share no base class
            raise UnreadableVideoError(f"video '{shown}' cannot be fetched: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """The beginning of what a library says, which can hold bytes of the file, without queries of other addresses."""
    text = without_secrets(in_one_line(error))
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"
