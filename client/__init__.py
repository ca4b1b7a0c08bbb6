"""Using the models: embed, classify, index, search and align videos.

`models` are what answers, and `bench` says how fast; `fetching` brings videos from elsewhere, the `pipeline` takes them
in and gives vectors out, in `bulk` on many cores or machines. An `index` keeps and searches them, as does a Milvus
`collection`; `aligning` lays two videos beside each other, `tracking` follows a box; `output` writes rows, `gallery` a
page of hits, `web` shows them in a browser, and `commands` are the command `client`.

from cocon.client import VideoEmbedder, VideoIndex

with VideoEmbedder("127.0.0.1:8001", views=("rgb",)) as embedder:
    index = VideoIndex("index")
    index.add(["a.mp4", "b.mp4"], embedder)
    for hit in index.search(embedder.embed("query.mp4"), top=5):
        print(hit.rank, hit.video, hit.start_seconds, hit.score)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if __name__ != "cocon.client":
    raise ImportError("install the project (make setup) and import this room as 'cocon.client'")

if TYPE_CHECKING:
    from cocon.client.aligning.spans import Alignment, align_videos
    from cocon.client.classify import Prediction, classify_by_index, top_actions
    from cocon.client.index.exchange.exporting import ExportReport
    from cocon.client.index.exchange.importing import ImportReport
    from cocon.client.index.folder import AddReport, VideoIndex
    from cocon.client.index.labelling.clusters import Cluster, clusters_of
    from cocon.client.index.labelling.suggestions import Suggestion, suggestions
    from cocon.client.index.query.conditions import Condition
    from cocon.client.index.query.filters import Filters
    from cocon.client.index.query.queries import Example, Query
    from cocon.client.index.query.search_options import SearchOptions
    from cocon.client.index.records import IndexedVideo
    from cocon.client.index.search.hits import Hit
    from cocon.client.index.upkeep.backing_up import BackupReport
    from cocon.client.index.upkeep.compaction import CompactReport
    from cocon.client.index.upkeep.figures import IndexStatistics
    from cocon.client.index.upkeep.findings import Finding, Verification
    from cocon.client.index.upkeep.rebuilding import RebuildReport
    from cocon.client.locate import LocatedAction, locate_actions
    from cocon.client.models.connect import connect
    from cocon.client.models.connections.credentials import Credentials
    from cocon.client.pipeline.async_embedder import AsyncVideoEmbedder
    from cocon.client.pipeline.embedder_settings import EmbedderSettings
    from cocon.client.pipeline.video_embedder import FailedVideo, VideoEmbedder, VideoEmbedding
    from cocon.client.tracking.boxes import TrackedFrame, track_box, tracking_model

__all__ = [
    "AddReport",
    "Alignment",
    "AsyncVideoEmbedder",
    "BackupReport",
    "Cluster",
    "CompactReport",
    "Condition",
    "Credentials",
    "EmbedderSettings",
    "Example",
    "ExportReport",
    "FailedVideo",
    "Filters",
    "Finding",
    "Hit",
    "ImportReport",
    "IndexStatistics",
    "IndexedVideo",
    "LocatedAction",
    "Prediction",
    "Query",
    "RebuildReport",
    "SearchOptions",
    "Suggestion",
    "TrackedFrame",
    "Verification",
    "VideoEmbedder",
    "VideoEmbedding",
    "VideoIndex",
    "align_videos",
    "classify_by_index",
    "clusters_of",
    "connect",
    "locate_actions",
    "suggestions",
    "top_actions",
    "track_box",
    "tracking_model",
]

# Loaded when first asked for: `client --help` must not wait for OpenCV.
_NAMES = {
    "aligning.spans": ("Alignment", "align_videos"),
    "classify": ("Prediction", "classify_by_index", "top_actions"),
    "index.exchange.exporting": ("ExportReport",),
    "index.exchange.importing": ("ImportReport",),
    "index.folder": ("AddReport", "VideoIndex"),
    "index.labelling.clusters": ("Cluster", "clusters_of"),
    "index.labelling.suggestions": ("Suggestion", "suggestions"),
    "index.query.conditions": ("Condition",),
    "index.query.filters": ("Filters",),
    "index.query.queries": ("Example", "Query"),
    "index.query.search_options": ("SearchOptions",),
    "index.records": ("IndexedVideo",),
    "index.search.hits": ("Hit",),
    "index.upkeep.backing_up": ("BackupReport",),
    "index.upkeep.compaction": ("CompactReport",),
    "index.upkeep.figures": ("IndexStatistics",),
    "index.upkeep.findings": ("Finding", "Verification"),
    "index.upkeep.rebuilding": ("RebuildReport",),
    "locate": ("LocatedAction", "locate_actions"),
    "models.connect": ("connect",),
    "models.connections.credentials": ("Credentials",),
    "pipeline.async_embedder": ("AsyncVideoEmbedder",),
    "pipeline.embedder_settings": ("EmbedderSettings",),
    "pipeline.video_embedder": ("FailedVideo", "VideoEmbedder", "VideoEmbedding"),
    "tracking.boxes": ("TrackedFrame", "track_box", "tracking_model"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'cocon.client' has no attribute '{name}'")
    return getattr(import_module(f"cocon.client.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
