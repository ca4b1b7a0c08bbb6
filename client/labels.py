"""The label of a video that lies in a dataset folder: the `label` column of the nearest `manifest.csv` above it."""

import csv
from functools import lru_cache
from pathlib import Path

__all__ = ["manifest_label"]


def manifest_label(video: Path) -> str | None:
    """Label of a video, or None when no manifest above it names it or gives it a label."""
    video = video.resolve()
    for folder in video.parents:
        manifest = folder / "manifest.csv"
        if manifest.is_file():
            return _labels(manifest, manifest.stat().st_mtime_ns).get(video)
    return None


@lru_cache(maxsize=8)
def _labels(manifest: Path, changed_ns: int) -> dict[Path, str]:
    """Video → label; `changed_ns` keeps an edited manifest from being remembered as it was."""
    with manifest.open(newline="", encoding="utf-8-sig") as stream:
        return {
            (manifest.parent / row["path"]).resolve(): row["label"]
            for row in csv.DictReader(stream)
            if row.get("path") and row.get("label")
        }
