import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import AddReport, VideoEmbedder, VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.core.errors import MismatchError, MissingViewError, StorageError, UsageError
from cocon.core.folder_lock import folder_lock
from tests.client.conftest import contract, copy_with_unfit_view, make_repository, write_video
from tests.disks import full_disk, unwritable


@pytest.fixture
def index(tmp_path: Path, embedder: VideoEmbedder, videos: list[Path]) -> VideoIndex:
    made = VideoIndex(tmp_path / "index")
    assert made.add(videos, embedder) == AddReport(6, 0, 0, 0, ())
    return made


@pytest.fixture
def own(tmp_path: Path, videos: list[Path]) -> list[Path]:
    """Copies that a test may change."""
    folder = tmp_path / "own"
    folder.mkdir()
    return [Path(shutil.copy(video, folder)) for video in videos[:3]]


def num_clips(index: VideoIndex) -> int:
    return sum(video.num_clips for video in index.videos())


def test_video_itself_comes_back_first(index: VideoIndex, embedder: VideoEmbedder, videos: list[Path]) -> None:
    for video in videos:
        hits = index.search(embedder.embed(video), top=3)
        assert hits[0].video == str(video)
        assert hits[0].score >= 0.999
        assert len({hit.video for hit in hits}) == 3


def test_adding_again_changes_nothing(index: VideoIndex, embedder: VideoEmbedder, videos: list[Path]) -> None:
    before = {path: path.read_bytes() for path in index.folder.iterdir()}
    assert index.add(videos, embedder) == AddReport(0, 0, 6, 0, ())
    assert {path: path.read_bytes() for path in index.folder.iterdir()} == before
    assert num_clips(index) == 30


def test_changed_file_replaces_its_rows(tmp_path: Path, embedder: VideoEmbedder, own: list[Path]) -> None:
    index = VideoIndex(tmp_path / "index")
    index.add(own, embedder)
    write_video(own[0], seed=40, num_frames=40)
    assert index.add(own, embedder) == AddReport(0, 1, 2, 0, ())
    assert [video.num_clips for video in index.videos()] == [10, 5, 5]
    assert index.search(embedder.embed(own[0]))[0].video == str(own[0])


def test_copy_is_a_duplicate_and_a_moved_file_keeps_its_vectors(
    tmp_path: Path, embedder: VideoEmbedder, own: list[Path]
) -> None:
    index = VideoIndex(tmp_path / "index")
    twin = Path(shutil.copy(own[0], own[0].with_name("twin.mp4")))
    assert index.add([own[0], twin], embedder) == AddReport(1, 0, 0, 1, ())
    own[0].unlink()
    assert index.add([twin], embedder) == AddReport(0, 1, 0, 0, ())
    assert [video.video for video in index.videos()] == [str(twin)]
    assert index.search(embedder.embed(twin))[0].video == str(twin)


def test_file_that_became_a_copy_loses_its_old_rows(tmp_path: Path, embedder: VideoEmbedder, own: list[Path]) -> None:
    index = VideoIndex(tmp_path / "index")
    index.add(own, embedder)
    shutil.copy(own[0], own[1])
    assert index.add([own[1]], embedder).duplicate == 1
    assert [video.video for video in index.videos()] == [str(video) for video in own]
    assert [video.video_id for video in index.videos()] == [1, 1, 3]


def test_other_overlap_embeds_again(tmp_path: Path, url: str, own: list[Path]) -> None:
    index = VideoIndex(tmp_path / "index")
    for overlap, num_clips in ((0.0, 5), (0.5, 9)):
        with VideoEmbedder(url, overlap=overlap) as embedder:
            index.add(own[:1], embedder)
        assert [video.num_clips for video in index.videos()] == [num_clips]


def test_interrupted_addition_keeps_what_is_done_and_goes_on(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path]
) -> None:
    def interrupted() -> Iterator[Path]:
        yield from videos[:4]
        raise KeyboardInterrupt

    index = VideoIndex(tmp_path / "index")
    with pytest.raises(KeyboardInterrupt):
        index.add(interrupted(), embedder)
    num_kept = len(index.videos())
    assert index.add(videos, embedder) == AddReport(6 - num_kept, 0, num_kept, 0, ())
    assert num_clips(index) == 30


def test_failed_commit_leaves_whole_videos_only(tmp_path: Path, embedder: VideoEmbedder, videos: list[Path]) -> None:
    outcomes = []

    def break_off(outcome: object) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 2:
            raise OSError("the disk is gone")

    index = VideoIndex(tmp_path / "index")
    with pytest.raises(OSError, match="disk"):
        index.add(videos, embedder, on_outcome=break_off)
    assert [video.num_clips for video in index.videos()] == [5, 5]
    assert len(index.search(embedder.embed(videos[0]))) == 2


def test_open_index_sees_what_others_add(
    index: VideoIndex, embedder: VideoEmbedder, videos: list[Path], tmp_path: Path
) -> None:
    extra = write_video(tmp_path / "extra.mp4", seed=99)
    assert len(index.search(embedder.embed(extra))) == 6
    VideoIndex(index.folder).add([extra], embedder)
    assert index.search(embedder.embed(extra))[0].video == str(extra)


def test_other_model_is_refused(tmp_path: Path, index: VideoIndex, videos: list[Path]) -> None:
    root = make_repository(tmp_path / "other", contract("rgb", weights="other"))
    with VideoEmbedder(f"local:{root}") as other:
        for use in (
            lambda: index.add(videos, other),
            lambda: index.search(other.embed(videos[0])),
            lambda: index.check_model(other.model),
        ):
            with pytest.raises(MismatchError, match="client index add --index NEW"):
                use()
    assert len(index.videos()) == 6


def test_video_without_a_view_of_the_index_is_a_failed_input(tmp_path: Path, videos: list[Path]) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"), contract("mask"))
    index = VideoIndex(tmp_path / "index")
    video = copy_with_unfit_view(videos[0], tmp_path, "mask")
    with VideoEmbedder(f"local:{root}", views=("all",)) as embedder:
        report = index.add([video], embedder)
        assert [type(failure.error) for failure in report.failures] == [MissingViewError]
        with pytest.raises(MissingViewError):
            index.search(embedder.embed(video))
    assert index.videos() == []


@pytest.mark.parametrize("fault", ["nan", "length", "dimension"])
def test_unsound_vectors_neither_enter_nor_ask(
    index: VideoIndex, embedder: VideoEmbedder, videos: list[Path], fault: str
) -> None:
    sound = embedder.embed(videos[0])
    vectors = {"nan": sound.embedding * np.float32("nan"), "length": sound.embedding * 2}
    unsound = replace(sound, embedding=vectors.get(fault, sound.embedding[:, :-1]))
    with pytest.raises(MismatchError, match=r"not finite|unit length|must be float32"):
        index.search(unsound)
    with (
        IndexWriter(index.folder) as writer,
        pytest.raises(MismatchError, match=r"not finite|unit length|must be float32"),
    ):
        Contents(writer).put("x.mp4", unsound, label=None, overlap=0.0)
    assert len(index.videos()) == 6


def test_damaged_catalogue_is_told(index: VideoIndex) -> None:
    (index.folder / "catalog.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(MismatchError, match="is damaged"):
        index.videos()


def test_second_writer_is_refused_and_readers_are_not(
    index: VideoIndex, embedder: VideoEmbedder, videos: list[Path]
) -> None:
    with folder_lock(index.folder, "index"):
        with pytest.raises(UsageError, match="being written by process"):
            index.add(videos, embedder)
        assert index.search(embedder.embed(videos[0]))


def test_remove_forgets_files_and_folders(index: VideoIndex, embedder: VideoEmbedder, videos: list[Path]) -> None:
    assert index.remove([videos[0]]) == [str(videos[0])]
    assert str(videos[0]) not in [hit.video for hit in index.search(embedder.embed(videos[0]))]
    with pytest.raises(UsageError, match="has no video"):
        index.remove([videos[1], videos[0]])
    assert len(index.videos()) == 5
    assert len(index.remove([videos[0].parent])) == 5
    assert index.search(embedder.embed(videos[0])) == []


def test_labels_come_from_the_manifest(tmp_path: Path, embedder: VideoEmbedder, own: list[Path]) -> None:
    manifest = own[0].parent / "manifest.csv"
    manifest.write_text(f"video_id,path,label\na,{own[0].name},wave\nb,{own[1].name},\n")
    index = VideoIndex(tmp_path / "index")
    index.add(own, embedder)
    assert [video.label for video in index.videos()] == ["wave", None, None]
    manifest.write_text(f"path,label\n{own[0].name},wave\n{own[1].name},clap\n")
    assert index.add(own, embedder) == AddReport(0, 1, 2, 0, ())
    assert index.search(embedder.embed(own[1]))[0].label == "clap"


def test_sub_folders_of_a_named_folder_are_labels_that_stay(
    tmp_path: Path, embedder: VideoEmbedder, own: list[Path]
) -> None:
    folder = own[0].parent
    places = [folder / "train" / "jump" / "a.mp4", folder / "run" / "b.mp4", folder / "c.mp4"]
    for video, place in zip(own, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        video.rename(place)
    index = VideoIndex(tmp_path / "index")
    assert index.add(places, embedder, folders=[folder]) == AddReport(3, 0, 0, 0, ())
    assert {video.video: video.label for video in index.videos()} == {
        str(places[0]): "jump", str(places[1]): "run", str(places[2]): None,
    }  # fmt: skip
    assert index.search(embedder.embed(places[1]))[0].label == "run"
    assert index.add(places, embedder) == AddReport(0, 0, 3, 0, ())  # named one by one, as nobody knows better
    write_video(places[1], seed=40, num_frames=40)
    assert index.add([places[1]], embedder) == AddReport(0, 1, 0, 0, ())
    assert [video.label for video in index.videos()].count("run") == 1
    (folder / "views").mkdir()
    assert index.add(places, embedder) == AddReport(0, 0, 3, 0, ())


def test_what_is_no_file_fails_and_nobody_waits_for_it(
    tmp_path: Path, embedder: VideoEmbedder, own: list[Path]
) -> None:
    os.mkfifo(own[0].parent / "pipe.mp4")
    added = VideoIndex(tmp_path / "index").add([own[0].parent / "pipe.mp4", "/dev/zero", own[0]], embedder)
    assert (added.added, [failure.message.split("'")[2][:9] for failure in added.failures]) == (
        1,
        [" is a FIF", " is a dev"],
    )


def test_folder_that_holds_something_else_is_refused(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path]
) -> None:
    (tmp_path / "none").mkdir()
    for name in ("writer.lock", ".catalog.sqlite.1.partial"):
        (tmp_path / "none" / name).touch()
    assert VideoIndex(tmp_path / "none").add(videos[:1], embedder).added == 1, "left by a run that was killed at once"
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match="something else"):
        VideoIndex(tmp_path).add(videos, embedder)
    with pytest.raises(UsageError, match="does not exist; make one with 'client index add'"):
        VideoIndex(tmp_path / "nothing").videos()


def test_a_full_disk_keeps_what_was_stored_and_the_same_call_goes_on(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path]
) -> None:
    index = VideoIndex(tmp_path / "index")
    catalog = index.folder / "catalog.sqlite"
    with full_disk(), pytest.raises(StorageError, match=f"^catalogue '{catalog}' cannot be written: disk I/O error; "):
        index.add(videos, embedder)
    assert not index.exists
    index.add(videos[:1], embedder)
    with full_disk(1 << 14), pytest.raises(StorageError, match=f"^catalogue '{catalog}' cannot be written: "):
        index.add(videos, embedder)
    stored = [video.video for video in index.videos()]
    assert 1 <= len(stored) < len(videos)
    with full_disk():  # not even what SQLite keeps beside a catalogue
        assert [video.video for video in VideoIndex(index.folder).videos()] == stored
        assert index.search(embedder.embed(videos[0]))[0].video == str(videos[0])
    assert index.add(videos, embedder) == AddReport(6 - len(stored), 0, len(stored), 0, ())


def test_an_index_that_nobody_may_write_is_read(index: VideoIndex, embedder: VideoEmbedder, videos: list[Path]) -> None:
    before = {path: path.read_bytes() for path in index.folder.iterdir()}
    query = embedder.embed(videos[3])
    with unwritable(index.folder):
        opened = VideoIndex(index.folder)
        assert len(opened.videos()) == 6
        assert opened.facts.embedding_dim == 8
        assert opened.search(query)[0].video == str(videos[3])
        for write in (lambda: opened.add(videos, embedder), lambda: opened.remove([videos[0]])):
            with pytest.raises(UsageError, match=f"^index '{index.folder}' cannot be written: Permission denied$"):
                write()
    assert {path: path.read_bytes() for path in index.folder.iterdir()} == before


def test_a_catalogue_that_may_not_be_read_is_told(index: VideoIndex) -> None:
    path = index.folder / "catalog.sqlite"
    with unwritable(index.folder):
        path.chmod(0)
        with pytest.raises(UsageError, match="cannot be read: Permission denied"):
            index.videos()
