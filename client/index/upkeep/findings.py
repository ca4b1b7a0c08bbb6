"""What a look at an index finds."""

from dataclasses import asdict, dataclass

from cocon.core.printable import escaped

__all__ = ["Finding", "Verification"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about an index that is not as it should be.

    Attributes:
        file: Name of the file in the folder.
        message: What, in one line.
        is_error: Whether something is damaged; a leftover of a writer that was killed is no damage.
        videos: Paths of the videos that it takes from the index.
    """

    file: str
    message: str
    is_error: bool = True
    videos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """All that was found.

    Attributes:
        schema: Of the catalogue.
        epoch: Of the commit that was looked at; empty where it is not known.
        num_videos: Contents.
        num_places: Paths.
        num_clips: Clips of all contents.
        total_rows: Rows of the file of vectors, dead ones included.
        findings: In the order of the files.
    """

    schema: int
    epoch: str
    num_videos: int
    num_places: int
    num_clips: int
    total_rows: int
    findings: tuple[Finding, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not any(finding.is_error for finding in self.findings)

    @property
    def damaged(self) -> tuple[str, ...]:
        """Paths of the videos that damage takes from the index, once each, in alphabetical order."""
        return tuple(sorted({video for finding in self.findings if finding.is_error for video in finding.videos}))

    def row(self) -> dict[str, object]:
        """The fields by name, for JSON; paths in their written form (`printable.escaped`)."""
        findings = [
            asdict(finding) | {"videos": [escaped(video) for video in finding.videos]} for finding in self.findings
        ]
        return asdict(self) | {"is_sound": self.is_sound, "findings": findings}
