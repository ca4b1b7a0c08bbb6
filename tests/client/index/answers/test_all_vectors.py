"""The vectors of an index as arrays."""

from pathlib import Path

import numpy as np

from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.folder import VideoIndex
from cocon.client.index.query.filters import Filters
from tests.client.index.conftest import embedding_of, put_videos


def test_videos_are_the_means_of_their_clips_once_a_content(stored: Path) -> None:
    with IndexWriter(stored) as writer:
        Contents(writer).put("/videos/copy_of_a", embedding_of("a"), label="wave", overlap=0.0)
    found = VideoIndex(stored).video_vectors()
    assert [Path(video.video).name for video in found.videos] == ["a", "b", "c", "d", "e"]
    sums = np.stack([embedding_of(name).embedding.sum(axis=0) for name in "abcde"])
    np.testing.assert_allclose(found.vectors, sums / np.linalg.norm(sums, axis=1, keepdims=True), atol=1e-6)
    labelled = VideoIndex(stored).video_vectors(Filters(labels=("wave",)))
    assert [video.video for video in labelled.videos] == ["/videos/copy_of_a"]


def test_nothing_that_meets_filters_is_no_videos(stored: Path) -> None:
    found = VideoIndex(stored).video_vectors(Filters(labels=("nothing",)))
    assert len(found) == 0 and found.vectors.shape == (0, 8)


def test_clips_know_where_they_are(stored: Path) -> None:
    VideoIndex(stored).remove(["/videos/b"])
    put_videos(stored, ["f"])
    found = VideoIndex(stored).clip_vectors(max_clips=100)
    assert found.clips.tolist() == [0, 1, 2] * 5
    np.testing.assert_allclose(found.spans[:, 0], found.clips)
    np.testing.assert_array_equal(found.vectors[-3:], embedding_of("f").embedding)
    few = VideoIndex(stored).clip_vectors(max_clips=4)
    assert len(few) == 4 and len(set(few.video_ids.tolist())) > 1


def test_a_damaged_clip_is_left_out_and_so_is_its_video(stored: Path) -> None:
    (file,) = stored.glob("vectors-*.f32")
    with file.open("r+b") as stream:
        stream.seek(4 * 8 * 4)
        stream.write(b"\xff")
    assert len(VideoIndex(stored).clip_vectors(max_clips=100)) == 14
    assert [Path(video.video).name for video in VideoIndex(stored).video_vectors().videos] == ["a", "c", "d", "e"]
