"""Voters of real indexes of made-up vectors: who has a vote, and which rule they have."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.vote.keeping import keep_rule
from cocon.client.index.vote.rule import RULE_FACT
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import UsageError

from ..conftest import DIM, FACTS, NUM_BLOCKS, embedding_of
from .conftest import unit


def video_near(name: str, direction: int) -> VideoEmbedding:
    """A video that shows one of eight things."""
    video = embedding_of(name)
    return replace(video, embedding=unit(np.eye(DIM)[direction] + 0.2 * video.embedding))


def make_index(folder: Path, labels: dict[str, str | None], *, has_rule: bool) -> VideoIndex:
    """The letter of a video says what it shows."""
    folder.mkdir(exist_ok=True)
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS)) as writer:
        for name, label in labels.items():
            video = video_near(name, "abcdefgh".index(name[0]))
            Contents(writer).put(video.video, video, label=label, overlap=0.0)
        if has_rule:
            assert keep_rule(writer) and not keep_rule(writer)
    return VideoIndex(folder)


def best(index: VideoIndex, video: VideoEmbedding) -> str:
    voters = index.voters()
    (shares,) = voters.shares(video.embedding, np.array([len(video)]), [video.content_sha256])
    return [*voters.classes, "unknown"][int(shares.argmax())]


LABELS: dict[str, str | None] = {f"{letter}{n}": f"label {letter}" for letter in "abc" for n in range(5)}


@pytest.fixture
def index(tmp_path: Path) -> VideoIndex:
    return make_index(tmp_path / "index", LABELS | {"d0": None, "d1": ""}, has_rule=True)


def test_labelled_videos_vote_and_others_do_not(index: VideoIndex) -> None:
    assert index.voters().classes == ("label a", "label b", "label c")
    assert [best(index, video_near(f"{letter} new", "abcd".index(letter))) for letter in "abcd"] == [
        "label a",
        "label b",
        "label c",
        "unknown",
    ]


def test_the_kept_rule_is_taken_until_it_fits_no_more_and_readers_write_nothing(
    index: VideoIndex, tmp_path: Path
) -> None:
    kept = index.snapshot().fact(RULE_FACT)
    assert index.voters().rule.as_dict() == kept
    with IndexWriter(index.folder) as writer, writer.transaction():
        writer.put_fact(RULE_FACT, kept | {"sharpness": 0.5})
    assert index.voters().rule.sharpness == 0.5
    bare = make_index(tmp_path / "bare", LABELS, has_rule=False)
    before = {path.name: path.read_bytes() for path in bare.folder.iterdir()}
    assert bare.voters().rule.as_dict() == kept and bare.snapshot().fact(RULE_FACT) is None
    assert {path.name: path.read_bytes() for path in bare.folder.iterdir()} == before
    with IndexWriter(index.folder) as writer:
        for number in range(2):
            video = video_near(f"d{number} more", 3)
            Contents(writer).put(video.video, video, label="label d", overlap=0.0)
        changed = VideoIndex(index.folder).voters()
        assert changed.rule.sharpness == kept["sharpness"] and changed.rule.label_counts["label d"] == 2
        assert keep_rule(writer)
    assert index.snapshot().fact(RULE_FACT) == index.voters().rule.as_dict() == changed.rule.as_dict()


@pytest.mark.parametrize("value", [None, 7, [], {"num_neighbours": 0}, {"of": "another version"}])
def test_a_kept_rule_that_is_none_is_chosen_anew(index: VideoIndex, value: object) -> None:
    kept = index.voters().rule
    with IndexWriter(index.folder) as writer, writer.transaction():
        writer.put_fact(RULE_FACT, value)
    assert index.voters().rule == kept


def test_a_video_at_several_places_has_the_label_of_most_of_them(tmp_path: Path) -> None:
    index = make_index(tmp_path / "index", LABELS, has_rule=False)
    with IndexWriter(index.folder) as writer:
        for path, label in (("/z", "label z"), ("/x", "label x"), ("/y", "label x"), ("/0", "label 0"), ("/1", "")):
            Contents(writer).put(path, video_near("e0", 4), label=label, overlap=0.0)
    assert index.voters().classes[-1] == "label x"


def test_damaged_videos_have_no_vote(index: VideoIndex, caplog: pytest.LogCaptureFixture) -> None:
    (file,) = index.folder.glob("vectors-*.f32")
    content = bytearray(file.read_bytes())
    first = next(n for n, name in enumerate(LABELS) if name == "b0") * 3 * DIM * 4
    content[first : first + 4] = np.float32(np.nan).tobytes()
    file.write_bytes(content)
    voters = VideoIndex(index.folder).voters()
    assert "damaged clips: 1;" in caplog.text
    assert np.isfinite(voters.shares(np.eye(DIM, dtype=np.float32)[:1], np.array([1]), [""])).all()
    assert voters.rule.label_counts["label b"] == 5  # one of fifteen: the rule still fits


def test_an_index_without_labels_cannot_be_asked(tmp_path: Path) -> None:
    index = make_index(tmp_path / "index", {"a0": None, "a1": ""}, has_rule=False)
    with pytest.raises(UsageError, match="no labelled videos"):
        index.voters()
    with IndexWriter(index.folder) as writer:
        assert not keep_rule(writer)
