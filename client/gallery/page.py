"""The hits of searches as one HTML page that needs nothing else: no script, no font, no file beside it.

write_gallery([GallerySection.of(query, hits)], Path("hits.html"), facts={"index": "index"}, limits=MediaLimits())
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from itertools import chain, zip_longest
from pathlib import Path

import jinja2

from cocon.client.gallery.moments import pictures_of
from cocon.client.gallery.sections import GallerySection
from cocon.core.printable import ESCAPING, printable
from cocon.core.progress import OnProgress
from cocon.video.decoding.limits import MediaLimits
from cocon.video.output_file import output_file

__all__ = ["MAX_GALLERY_BYTES", "write_gallery"]

MAX_GALLERY_BYTES = 10_000_000
"""Of a page, whose text is a small part of it."""

_OPTION = "--gallery"
_NUM_FOLDERS = 2
_BYTES_OF_TEXT_PER_HIT = 2500
_LEAST_PICTURE_BYTES = 1_000_000


def write_gallery(
    sections: Sequence[GallerySection],
    output: Path,
    *,
    facts: Mapping[str, str],
    limits: MediaLimits,
    on_progress: OnProgress | None = None,
) -> None:
    """Write a page of queries and hits.

    Moments play for two seconds, again and again, as far as `MAX_GALLERY_BYTES` allows; then they stand still. A file
    that is gone or cannot be read is said so at its place.

    Args:
        sections: At least one.
        output: The file; an old one is replaced, and it is there whole or not at all.
        facts: What the head of the page says of the index; what is said of the search goes with it.
        limits: How much of the videos is read before they are refused.
        on_progress: Called with (pictures taken, total).

    Raises:
        UsageError: The file cannot be written.
        StorageError: The disk takes no more.
    """
    # The first of every query before the second of any.
    moments = [each for each in chain(*zip_longest(*(section.moments for section in sections))) if each is not None]
    text_bytes = _BYTES_OF_TEXT_PER_HIT * (len(moments) + len(sections))
    room = max(_LEAST_PICTURE_BYTES, MAX_GALLERY_BYTES - text_bytes) * 3 // 4  # as base64
    pictures = pictures_of(moments, limits, max_bytes=room, on_progress=on_progress)
    html = _template().render(
        sections=sections,
        pictures=pictures,
        facts={name: printable(value) for name, value in facts.items()} | _made(),
        num_hits=sum(len(section.hits) for section in sections),
        has_films=any(picture.film for picture in pictures.values()),
    )
    with output_file(output, option=_OPTION) as partial:
        partial.write_text(html, encoding="utf-8", errors=ESCAPING)


def _made() -> dict[str, str]:
    return {
        "made": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "by": f"cocon {version('cocon')}",
    }


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _last_folders(place: str) -> str:
    """The end of a path, which tells folders apart where there is little room."""
    parts = Path(place).parts
    return place if len(parts) <= _NUM_FOLDERS else str(Path("…", *parts[-_NUM_FOLDERS:]))


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cocon.client.gallery", "."),
        autoescape=True,  # names of files and labels are not ours
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    environment.filters["last_folders"] = _last_folders
    return environment.get_template("gallery.html.jinja")
