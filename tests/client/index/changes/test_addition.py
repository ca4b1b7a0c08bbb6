"""What becomes of files that are added again; where nothing is embedded, there is no server."""

import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from cocon.client import AddReport, VideoEmbedder, VideoIndex
from cocon.client.index.catalogue.tables import put_place
from cocon.client.index.files.writer import IndexWriter
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.core.errors import MismatchError, ServerError, UnreadableVideoError, UsageError
from cocon.video.decoding.limits import MediaLimits
from tests.client.conftest import contract, make_repository, write_video

NO_SERVER = EmbedderSettings("127.0.0.1:1", timeout_s=1.0)


@pytest.fixture
def own(tmp_path: Path, videos: list[Path]) -> list[Path]:
    """Copies that a test may change: a, b, c."""
    folder = tmp_path / "own"
    folder.mkdir()
    return [Path(shutil.copy(video, folder / f"{name}.mp4")) for name, video in zip("abc", videos, strict=False)]


@pytest.fixture
def index(tmp_path: Path, embedder: VideoEmbedder, own: list[Path]) -> VideoIndex:
    """Of a, b and c, each described by its own name."""
    made = VideoIndex(tmp_path / "index")
    assert made.add(own, embedder).added == 3
    with IndexWriter(made.folder) as writer, writer.transaction() as connection:
        for video_id, path in enumerate(own, start=1):
            known = {"label": f"label of {path.stem}", "metadata": {"name": path.stem}}
            put_place(connection, str(path), video_id, **known)  # type: ignore[arg-type]
    return made


def described(index: VideoIndex) -> dict[str, tuple[int, str | None, object]]:
    """Name of the file → content, label, and the name that its video was described by."""
    return {
        Path(video.video).name: (video.video_id, video.label, video.metadata.get("name")) for video in index.videos()
    }


A, B, C = (1, "label of a", "a"), (2, "label of b", "b"), (3, "label of c", "c")


def rename(own: list[Path], names: str) -> list[Path]:
    """Give the files a, b, c other names, all at once."""
    asides = [Path(shutil.move(path, path.with_suffix(".aside"))) for path in own]
    return [Path(shutil.move(aside, aside.with_name(f"{name}.mp4"))) for aside, name in zip(asides, names, strict=True)]


@pytest.mark.parametrize(
    ("names", "given", "report", "expected"),
    [
        ("bac", "abc", (0, 2, 1, 0), {"a.mp4": B, "b.mp4": A, "c.mp4": C}),
        ("bac", "a", (0, 1, 0, 0), {"a.mp4": B, "b.mp4": A, "c.mp4": C}),
        ("bac", "cb", (0, 1, 1, 0), {"a.mp4": B, "b.mp4": A, "c.mp4": C}),
        ("bca", "abc", (0, 3, 0, 0), {"a.mp4": C, "b.mp4": A, "c.mp4": B}),
        ("bca", "c", (0, 1, 0, 0), {"a.mp4": C, "b.mp4": A, "c.mp4": B}),
        ("bcd", "bcd", (0, 3, 0, 0), {"b.mp4": A, "c.mp4": B, "d.mp4": C}),
        ("dbc", "dbc", (0, 1, 2, 0), {"b.mp4": B, "c.mp4": C, "d.mp4": A}),
    ],
    ids=["swap", "swap-one-named", "swap-other-named", "ring", "ring-one-named", "all-moved-on", "one-moved"],
)
def test_files_that_change_names_keep_vectors_labels_and_metadata(
    index: VideoIndex,
    own: list[Path],
    names: str,
    given: str,
    report: tuple[int, int, int, int],
    expected: dict[str, tuple[int, str, str]],
) -> None:
    rename(own, names)
    added = index.add([own[0].with_name(f"{name}.mp4") for name in given], NO_SERVER)
    assert (added.added, added.updated, added.unchanged, added.duplicate) == report
    assert described(index) == expected
    everything = sorted(own[0].parent.iterdir())
    assert index.add(everything, NO_SERVER) == AddReport(0, 0, 3, 0, ())
    assert index.verify().is_sound


def test_copies_keep_their_places_and_one_removed_leaves_the_other(index: VideoIndex, own: list[Path]) -> None:
    copies = [own[0].with_name(name) for name in ("x.mp4", "hard.mp4", "soft.mp4")]
    shutil.copy(own[0], copies[0])
    copies[1].hardlink_to(own[0])
    copies[2].symlink_to(own[0])
    assert index.add(copies, NO_SERVER) == AddReport(0, 0, 0, 3, ())
    assert [video.video_id for video in index.videos()] == [1, 2, 3, 1, 1, 1]
    assert index.add([*copies, *own], NO_SERVER) == AddReport(0, 0, 6, 0, ())
    for gone in (own[0], copies[2], copies[1]):
        index.remove([gone])
        assert 1 in {video.video_id for video in index.videos()}
    index.remove([copies[0]])
    assert [video.video_id for video in index.videos()] == [2, 3]


def test_a_copy_that_replaces_another_video(index: VideoIndex, own: list[Path]) -> None:
    shutil.copy(own[0], own[1])
    assert index.add([own[1]], NO_SERVER) == AddReport(0, 0, 0, 1, ())
    assert {name: video_id for name, (video_id, *_) in described(index).items()} == {
        "a.mp4": 1, "b.mp4": 1, "c.mp4": 3,
    }  # fmt: skip


def test_a_video_that_became_broken_is_found_no_more_and_fails(
    index: VideoIndex, own: list[Path], embedder: VideoEmbedder
) -> None:
    moved = own[1].with_name("moved.mp4")
    shutil.copy(own[1], moved)
    for path in own[:2]:
        path.write_bytes(b"no video any more")
    added = index.add([*own, moved], embedder)  # b is at another place before the run ends
    assert (added.added, added.updated, added.unchanged, added.duplicate, len(added.failures)) == (0, 1, 1, 0, 2)
    assert described(index) == {"c.mp4": C, "moved.mp4": B}
    assert len(index.search(embedder.embed(own[2]))) == 2


def test_nothing_is_lost_while_no_server_answers(index: VideoIndex, own: list[Path]) -> None:
    rename(own, "bac")
    write_video(own[2], seed=77)
    with pytest.raises(ServerError):
        index.add(own, NO_SERVER)
    assert described(index) == {"a.mp4": B, "b.mp4": A, "c.mp4": C}
    own[2].unlink()
    assert len(index.add(own, NO_SERVER).failures) == 1
    assert described(index)["c.mp4"] == C


def test_an_interrupt_keeps_what_was_found_out(index: VideoIndex, own: list[Path]) -> None:
    rename(own, "bac")

    def interrupted() -> object:
        yield own[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(interrupted(), NO_SERVER)  # type: ignore[arg-type]
    assert described(index) == {"a.mp4": B, "b.mp4": A, "c.mp4": C}


def test_a_content_between_two_places_outlives_an_interrupt(index: VideoIndex, own: list[Path]) -> None:
    away = Path(shutil.move(own[0], own[0].with_name("z.mp4")))
    shutil.move(own[1], own[0])
    with pytest.raises(ServerError):
        index.add([own[0], write_video(own[1].with_name("new.mp4"), seed=78)], NO_SERVER)
    assert described(index) == {"a.mp4": B, "c.mp4": C}
    assert index.verify().is_sound
    assert index.add([away], NO_SERVER) == AddReport(0, 1, 0, 0, ())
    assert described(index) == {"a.mp4": B, "c.mp4": C, "z.mp4": A}


def test_failed_files_are_remembered_until_they_or_the_options_change(
    index: VideoIndex, own: list[Path], url: str
) -> None:
    broken = own[0].with_name("broken.mp4")
    broken.write_bytes(b"no video")
    settings = EmbedderSettings(url)
    told = []
    for _ in range(2):
        added = index.add([broken, own[2]], settings, on_outcome=lambda outcome: told.append(outcome.failed_before))
        assert [type(failure.error) for failure in added.failures] == [UnreadableVideoError]
    assert (added.num_failed_before, told) == (1, [False, False, True, False])
    assert [(failure.path, failure.kind) for failure in index.failures()] == [(str(broken), "UnreadableVideoError")]
    assert index.add([broken], NO_SERVER).num_failed_before == 1
    for changed in ({"retry_failed": True}, {"embedder": EmbedderSettings("127.0.0.1:1", is_strict=True)}):
        with pytest.raises(ServerError):
            index.add([broken], **{"embedder": NO_SERVER, **changed})  # type: ignore[arg-type]
    limits = EmbedderSettings(url, limits=MediaLimits(max_seconds=0.5))
    assert {failure.kind for failure in _failed(index, [broken, _touched(own[1])], limits)} == {
        "UnreadableVideoError", "TooLargeError",
    }  # fmt: skip
    write_video(broken, seed=5)
    assert index.add([broken, own[1]], settings) == AddReport(2, 0, 0, 0, ())
    assert index.failures() == []


def _failed(index: VideoIndex, paths: list[Path], settings: EmbedderSettings) -> list[object]:
    index.add(paths, settings)
    return list(index.failures())


def _touched(path: Path) -> Path:
    return write_video(path, seed=76)


def test_a_deadline_that_was_missed_is_tried_again(index: VideoIndex, own: list[Path], url: str) -> None:
    late = EmbedderSettings(url, limits=MediaLimits(frame_timeout_s=0.001))
    fresh = write_video(own[0].with_name("late.mp4"), seed=60)
    first = index.add([fresh], late)
    assert [failure.kind for failure in index.failures()] == ["TimedOutError"]
    assert (len(first.failures), index.add([fresh], late).num_failed_before) == (1, 0)


def test_copies_are_embedded_once_and_fail_each_for_itself(
    tmp_path: Path, videos: list[Path], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    paths = [Path(shutil.copy(videos[0], folder / f"{number}.mp4")) for number in range(8)]
    broken = [folder / f"broken{number}.mp4" for number in range(3)]
    for path in broken:
        path.write_bytes(b"no video")
    asked: list[str] = []
    embed_many = VideoEmbedder.embed_many

    def counted(embedder: VideoEmbedder, given: Iterable[str]) -> Iterator[object]:
        return embed_many(embedder, (asked.append(path) or path for path in given))  # type: ignore[func-returns-value]

    monkeypatch.setattr(VideoEmbedder, "embed_many", counted)
    index = VideoIndex(tmp_path / "index")
    added = index.add([*paths, *broken], EmbedderSettings(url))
    assert (added.added, added.duplicate, len(added.failures)) == (1, 7, 3)
    assert sorted(asked) == sorted(map(str, [paths[0], *broken]))
    assert sorted(failure.message.split("'")[1] for failure in index.failures()) == sorted(map(str, broken))


def test_what_is_known_of_a_video_outlives_that_it_was_broken(
    index: VideoIndex, own: list[Path], embedder: VideoEmbedder
) -> None:
    for content in (b"half a video", b"more of it"):
        own[0].write_bytes(content)
        assert len(index.add([own[0]], embedder).failures) == 1
    assert described(index) == {"b.mp4": B, "c.mp4": C}
    write_video(own[0], seed=70)
    assert index.add([own[0]], embedder) == AddReport(1, 0, 0, 0, ())
    assert described(index) == {"a.mp4": (4, *A[1:]), "b.mp4": B, "c.mp4": C}
    assert index.failures() == []


def test_removed_failures_are_forgotten(index: VideoIndex, own: list[Path], url: str) -> None:
    paths = [own[0].with_name(name) for name in ("x.mp4", "y.mp4")]
    for path in paths:
        path.write_bytes(b"no video")
    index.add(paths, EmbedderSettings(url))
    assert index.remove([paths[0]]) == [str(paths[0])]
    assert [failure.path for failure in index.failures()] == [str(paths[1])]
    paths[1].unlink()
    assert index.prune() == [str(paths[1])]
    assert index.failures() == []


def test_an_unchanged_file_is_not_read_again(index: VideoIndex, own: list[Path]) -> None:
    index.add(own, NO_SERVER)
    stored = index.snapshot().select("SELECT path, file FROM places ORDER BY path")
    assert all(file for _, file in stored)
    before = {path: path.read_bytes() for path in index.folder.iterdir()}
    assert index.add(own, NO_SERVER) == AddReport(0, 0, 3, 0, ())
    assert {path: path.read_bytes() for path in index.folder.iterdir()} == before
    found = own[0].stat()
    content = bytearray(own[0].read_bytes())
    content[-1] ^= 1
    own[0].write_bytes(content)  # the same size
    os.utime(own[0], ns=(found.st_atime_ns, found.st_mtime_ns))  # and time
    with pytest.raises(ServerError):
        index.add(own, NO_SERVER)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_in_the_other_normal_form_is_the_files(
    index: VideoIndex, own: list[Path], embedder: VideoEmbedder, form: str
) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    folder = own[0].with_name(unicodedata.normalize(form, "é"))
    folder.mkdir()
    there = Path(shutil.move(own[0], folder / unicodedata.normalize(other, "café.mp4")))
    given = Path(unicodedata.normalize(other, str(there)))
    assert given != there
    assert index.add([given], NO_SERVER) == AddReport(0, 1, 0, 0, ())
    assert str(there) in [video.video for video in index.videos()]
    assert index.add([there], NO_SERVER) == AddReport(0, 0, 1, 0, ())
    there.unlink()
    assert index.remove([given]) == [str(there)]
    given.parent.mkdir(exist_ok=True)
    both = [write_video(given, seed=61), write_video(there, seed=62)]
    assert index.add(both, embedder).added == 2, "each has the name that it has"
    assert index.remove([given]) == [str(given)]
    with pytest.raises(UsageError, match="has no video"):
        index.remove([given])


def test_options_that_cannot_be_right_are_refused_without_a_server(index: VideoIndex, own: list[Path]) -> None:
    with pytest.raises(MismatchError, match="was made for view rgb, not flow"):
        index.add(own, EmbedderSettings("127.0.0.1:1", views=("flow",)))
    for wrong in ({"overlap": 1.0}, {"views": ("nonsense",)}, {"url": "no url"}, {"url": "local:nowhere"}):
        with pytest.raises(UsageError):
            EmbedderSettings(**wrong)  # type: ignore[arg-type]
    assert index.add(own, EmbedderSettings("127.0.0.1:1", views=("all",))) == AddReport(0, 0, 3, 0, ())


def test_the_model_is_checked_when_something_is_to_be_embedded(
    index: VideoIndex, own: list[Path], tmp_path: Path
) -> None:
    root = make_repository(tmp_path / "other", contract("rgb", weights="other"))
    other = EmbedderSettings(f"local:{root}")
    assert index.add(own, other) == AddReport(0, 0, 3, 0, ())
    with pytest.raises(MismatchError, match="client index add --index NEW"):
        index.add([write_video(own[0].with_name("new.mp4"), seed=63)], other)
    assert len(index.videos()) == 3


def test_an_index_whose_catalogue_was_restored_goes_on(
    index: VideoIndex, own: list[Path], embedder: VideoEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    lost = write_video(own[0].with_name("lost.mp4"), seed=64)
    later = write_video(own[0].with_name("later.mp4"), seed=65, num_frames=40)
    catalog = index.folder / "catalog.sqlite"
    before = catalog.read_bytes()
    index.add([lost], embedder)
    assert index.search(embedder.embed(lost))[0].video == str(lost)
    catalog.write_bytes(before)
    assert index.add([later], embedder).added == 1
    assert [record.message for record in caplog.records if "is an older one" in record.message]
    for opened in (index, VideoIndex(index.folder)):
        for path in (*own, later):
            assert opened.search(embedder.embed(path))[0].video == str(path)
        assert str(lost) not in [hit.video for hit in opened.search(embedder.embed(lost))]
    assert index.verify().is_sound
    assert index.add([*own, lost, later], embedder) == AddReport(1, 0, 4, 0, ())
