"""Videos as browsers ask for them: files in parts (`Range`), and their pictures."""

import os
from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from cocon.client.web.stored_files import OpenedFile

__all__ = ["OpenedFileResponse", "media_type"]

# Nothing that a browser would take for a page. What it can play it knows by its first bytes.
_TYPES = {
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/mp4",
    ".mp4": "video/mp4",
    ".ogv": "video/ogg",
    ".webm": "video/webm",
}


class OpenedFileResponse(FileResponse):
    """A file that is open already: what is sent is what was looked at, whatever its name leads to now.

    Args:
        file: Closed when it has been sent.
        name: By which its kind is known.
    """

    def __init__(self, file: OpenedFile, name: str) -> None:
        self._descriptor = file.descriptor
        super().__init__(f"/dev/fd/{file.descriptor}", media_type=media_type(name), stat_result=file.found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or the parts that are asked for."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


def media_type(name: str) -> str:
    """What a file is called to a browser, by its ending."""
    return _TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
