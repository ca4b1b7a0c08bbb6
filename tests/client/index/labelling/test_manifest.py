"""The labels of an index as a manifest."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.folder import VideoIndex
from cocon.client.index.labelling.manifest import export_labels, manifest_path
from cocon.core.errors import UsageError
from tests.client.index.conftest import embedding_of, put_videos


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_labelled_videos_are_written_once_with_ids_of_their_folders(stored: Path, tmp_path: Path) -> None:
    index, file = VideoIndex(stored), tmp_path / "out" / "manifest.csv"
    with IndexWriter(stored) as writer:
        Contents(writer).put("/copies/x/a", embedding_of("a"), label=None, overlap=0.0)
    index.label(["/videos/a", "/videos/b"], "jump, high")
    done = export_labels(index, file)
    assert (done.num_rows, done.num_videos, done.label_counts) == (2, 2, {"jump, high": 2})
    assert [(row["path"], row["label"], row["split"]) for row in rows_of(file)] == [
        ("/videos/a", "jump, high", "train"),
        ("/videos/b", "jump, high", "train"),
    ]
    everything = tmp_path / "all.csv"
    assert export_labels(index, everything, has_unlabelled=True).num_rows == 5
    assert len({row["video_id"] for row in rows_of(everything)}) == 5


def test_a_label_of_the_whole_holds_where_no_part_has_another(stored: Path, tmp_path: Path) -> None:
    index, file = VideoIndex(stored), tmp_path / "manifest.csv"
    index.label(["/videos/a"], "walk")
    index.label(["/videos/a#0.5-1.5", "/videos/b#2-"], "jump")
    export_labels(index, file)
    assert [(r["path"][-1], r["label"], r["start_seconds"], r["end_seconds"]) for r in rows_of(file)] == [
        ("a", "jump", "0.5", "1.5"),
        ("a", "walk", "1.5", "3"),  # half a second before is too short to show anything
        ("b", "jump", "2", "3"),
    ]


def test_a_share_of_each_label_is_for_testing_and_groups_stay_together(tmp_path: Path) -> None:
    folder, file = tmp_path / "index", tmp_path / "manifest.csv"
    put_videos(folder, [f"v{number}" for number in range(20)], label="jump")
    index = VideoIndex(folder)
    index.label([f"/videos/v{number}" for number in range(4)], "rare")
    index.label(["/videos/v0"], "single")
    index.describe(["/videos/v1", "/videos/v2"], {"group": "one"})
    index.describe(["/videos/v9"], {"split": "val"})
    export_labels(index, file, test_share=0.5)
    rows = rows_of(file)
    splits = Counter((row["label"], row["split"]) for row in rows)
    assert splits["single", "train"] == 1 and splits["jump", "val"] == 1
    assert splits["rare", "train"] and splits["rare", "test"] and abs(splits["jump", "test"] - 8) <= 1
    assert len({row["split"] for row in rows if row["group"] == "one"}) == 1
    again = tmp_path / "again.csv"
    export_labels(index, again, test_share=0.5)
    assert rows_of(again) == rows


def test_nothing_is_written_over_nor_without_labels(stored: Path, tmp_path: Path) -> None:
    index, file = VideoIndex(stored), manifest_path(tmp_path / "out")
    with pytest.raises(UsageError, match="no video that is chosen has a label"):
        export_labels(index, file)
    assert not file.exists()
    index.label(["/videos/a"], "jump")
    export_labels(index, file)
    with pytest.raises(UsageError, match="overwrite"):
        export_labels(index, file)
    export_labels(index, file, overwrite=True)
    assert manifest_path(Path("a.csv")) == Path("a.csv")
