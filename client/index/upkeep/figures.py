"""How large an index is, and what it consists of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cocon.client.index.catalogue.schema import SCHEMA
from cocon.client.index.files.proven import CATALOG_FILE, log_of
from cocon.client.index.files.seal import SEAL_FILE
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.projection.stored_map import MAP_FILE

__all__ = ["IndexStatistics", "statistics_of"]

# Facts that say how it is searched and ranked.
_SETTINGS = ("lists", "ranking", "vote")


@dataclass(frozen=True, slots=True)
class IndexStatistics:
    """Figures of an index.

    Attributes:
        schema: Of the catalogue.
        epoch: Of its commit; empty where it has none.
        views: That were fused.
        model: That made the first vectors.
        fingerprint: Of what the vectors mean.
        embedding_dim: D.
        num_blocks: N of each clip; 0 where they are not kept.
        num_videos: Contents.
        num_places: Paths.
        num_clips: Rows that belong to a video.
        num_dead: Rows that do not; 'client index compact' removes them.
        num_labelled: Places with a label.
        num_failures: Files that failed and are not tried again until they change.
        file_bytes: Name → size.
        lists: What is known of the lists for approximate searching; None: every row is compared.
        ranking: How hits are ranked; None: as by default.
        vote: How classes are voted on; None: as by default.
    """

    schema: int
    epoch: str
    views: tuple[str, ...]
    model: str
    fingerprint: str
    embedding_dim: int
    num_blocks: int
    num_videos: int
    num_places: int
    num_clips: int
    num_dead: int
    num_labelled: int
    num_failures: int
    file_bytes: Mapping[str, int] = field(default_factory=dict)
    lists: Mapping[str, Any] | None = None
    ranking: Any = None
    vote: Any = None

    @property
    def way(self) -> str:
        """How it is searched, in words."""
        lists = self.lists or {}
        if lists.get("file") is None:
            return f"exact: {lists.get('why_none') or 'every vector is compared'}"
        return (
            f"{lists['num_probed']} of {lists['num_lists']} lists, which have {lists['covered_rows']} rows; the ten "
            f"best are found in {lists['recall']:.3f} of all places"
        )

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return sum(self.file_bytes.values())

    def row(self) -> dict[str, object]:
        """The fields by name, for JSON."""
        return asdict(self) | {"way": self.way, "total_bytes": self.total_bytes}


def statistics_of(snapshot: Snapshot) -> IndexStatistics:
    """Count what a snapshot holds."""
    facts, rows = snapshot.facts, snapshot.row_facts
    ((places, labelled),) = snapshot.select("SELECT count(*), count(label) FROM places")
    ((failures,),) = snapshot.select("SELECT count(*) FROM failures")
    return IndexStatistics(
        schema=SCHEMA if rows.vectors else 1,
        epoch=snapshot.epoch,
        views=facts.views,
        model=facts.model,
        fingerprint=facts.fingerprint,
        embedding_dim=facts.embedding_dim,
        num_blocks=rows.num_blocks,
        num_videos=len(snapshot.rows.video_ids),
        num_places=places,
        num_clips=snapshot.rows.num_live,
        num_dead=snapshot.rows.total_rows - snapshot.rows.num_live,
        num_labelled=labelled,
        num_failures=failures,
        file_bytes=_file_bytes(snapshot),
        **{name: snapshot.fact(name) for name in _SETTINGS},
    )


def _file_bytes(snapshot: Snapshot) -> dict[str, int]:
    folder, rows = snapshot.folder, snapshot.row_facts
    lists = snapshot.fact("lists") or {}
    log = log_of(folder / CATALOG_FILE).name
    names = (CATALOG_FILE, log, SEAL_FILE, rows.vectors, rows.blocks, lists.get("file"), MAP_FILE)
    sizes = {}
    for name in filter(None, names):
        try:
            sizes[name] = (folder / name).stat().st_size
        except FileNotFoundError:  # a compaction has replaced it, or it never was
            continue
    return sizes
