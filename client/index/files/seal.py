"""The seal of an index, `index.json`: which catalogue is the right one, byte for byte.

It is replaced after every commit, when the catalogue is on the disk. A reader believes a catalogue that its seal fits;
one that it does not fit is being written, was left by a killed writer, or is damaged.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cocon.client.index.catalogue.schema import SCHEMA, check_schema
from cocon.client.index.files.checksums import content_checksum
from cocon.client.index.files.page_sums import PageSums
from cocon.core.atomic import replacing

__all__ = ["SEAL_FILE", "Seal"]

SEAL_FILE = "index.json"

Content = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Seal:
    """What `index.json` says.

    Attributes:
        schema: Of the catalogue.
        epoch: Random name of the commit.
        catalog_bytes: Size of the catalogue.
        catalog_checksum: Of its bytes, see `content_checksum`.
    """

    schema: int
    epoch: str
    catalog_bytes: int
    catalog_checksum: int

    @classmethod
    def of(cls, epoch: str, catalog: Content) -> Self:
        """The seal of a catalogue."""
        return cls(SCHEMA, epoch, len(catalog), content_checksum(catalog))

    @classmethod
    def of_pages(cls, epoch: str, catalog: PageSums) -> Self:
        """The same by the checksums of its pages."""
        return cls(SCHEMA, epoch, catalog.num_bytes, catalog.checksum)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The seal of a folder; None where there is none, it is damaged, or of an index of before.

        Raises:
            MismatchError: A newer version has written it.
        """
        try:
            content = json.loads((folder / SEAL_FILE).read_bytes())
            check_schema(content["schema"], folder)
            checksum = content.pop("checksum")
            return cls(**content) if checksum == _checksum(content) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def fits(self, catalog: Content) -> bool:
        """Whether it is the seal of these bytes."""
        return len(catalog) == self.catalog_bytes and content_checksum(catalog) == self.catalog_checksum

    def fits_pages(self, catalog: PageSums) -> bool:
        """The same by the checksums of its pages."""
        return catalog.num_bytes == self.catalog_bytes and catalog.checksum == self.catalog_checksum

    def write(self, folder: Path) -> None:
        """Replace the seal of a folder; it holds through a power cut."""
        content = asdict(self)
        with replacing(folder / SEAL_FILE, is_durable=True) as partial:
            partial.write_text(json.dumps(content | {"checksum": _checksum(content)}, indent=2) + "\n", "utf-8")


def _checksum(content: dict[str, object]) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8).hexdigest()
