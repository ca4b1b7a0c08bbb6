"""Making the views of a dataset folder: what is stored, what is kept, what is made anew."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import UsageError
from cocon.core.folder_lock import folder_lock
from cocon.video.decoding.frames import read_frames
from cocon.video.estimation.flow import FlowSpec
from cocon.video.estimation.identity import MADE_BY, identity_of
from cocon.video.geometry import Geometry
from cocon.video.making.recipe import Recipe, makers_of
from cocon.video.making.run import MadeViews, make_views
from cocon.video.reading.live import PeopleCount, ViewRequest, live_frames
from cocon.video.store.dataset import DatasetFolder, content_sha256
from cocon.video.store.files import read_view, view_path, write_frames

WriteVideo = Callable[..., Path]
FLOW_ONLY = Recipe(views=("flow",))


@pytest.fixture(scope="session")
def person_folder(
    tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo, walking_person: list[np.ndarray]
) -> Path:
    """A walking person and an empty room, with all their views; nothing may write here."""
    folder = tmp_path_factory.mktemp("person")
    write_video(folder / "person.mp4", walking_person, np.arange(30) / 30)
    write_video(folder / "room.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 12, np.arange(12) / 12)
    assert make_views(DatasetFolder.open(folder), Recipe(), num_workers=2) == _made(2, nobody_found=("room.mp4",))
    return folder


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo, square_at: Callable[..., np.ndarray]) -> Path:
    """Two short videos of a moving square, `a.mp4` and `b.mp4`."""
    for name, step in (("a.mp4", 1), ("b.mp4", 2)):
        write_video(tmp_path / name, [square_at(10 + step * index, 20) for index in range(10)], np.arange(10) / 15)
    return tmp_path


def _made(made: int = 0, there: int = 0, *, truncated: int = 0, nobody_found: tuple[str, ...] = ()) -> MadeViews:
    return MadeViews(made, there, 0, 0, truncated, nobody_found)


def _make(folder: Path, recipe: Recipe = FLOW_ONLY, **options: bool) -> MadeViews:
    return make_views(DatasetFolder.open(folder), recipe, num_workers=2, **options)


def _changes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in sorted((folder / "views").rglob("*.npz"))}


def test_every_view_is_stored_for_every_frame_with_its_recipe(person_folder: Path) -> None:
    times = np.array([seconds for seconds, _ in read_frames(person_folder / "person.mp4")])
    stored = {view: read_view(person_folder, view, "person.mp4") for view in ("flow", "pose", "mask")}
    assert all(np.array_equal(view.timestamps, times) for view in stored.values())
    assert stored["flow"].pixels is not None
    assert stored["flow"].pixels.shape == (30, 128, 136, 2)
    assert stored["pose"].keypoints is not None
    assert stored["pose"].keypoints.shape == (30, 1, 17, 3)
    assert stored["mask"].pixels is not None
    assert stored["mask"].pixels.shape == (30, 128, 136, 1)
    digest = content_sha256(person_folder / "person.mp4")
    assert stored["flow"].attributes == {
        "content_sha256": digest,
        "flow_algorithm": "dis",
        "flow_interval_seconds": 1 / 15,
        "flow_size_px": 128,
        "made_by": identity_of("flow", FlowSpec()),
    }
    assert stored["pose"].attributes == {
        "content_sha256": digest,
        "estimator": "mediapipe-0.10.21",
        "made_by": "blazepose-full r1 (mediapipe 0.10)",
        "num_frames_with_person": 30,
    }
    assert stored["mask"].attributes == stored["pose"].attributes


def test_nobody_found_is_recorded_and_all_zero(person_folder: Path) -> None:
    pose, mask = read_view(person_folder, "pose", "room.mp4"), read_view(person_folder, "mask", "room.mp4")
    assert pose.attributes["num_frames_with_person"] == mask.attributes["num_frames_with_person"] == 0
    assert pose.keypoints is not None
    assert mask.pixels is not None
    assert not pose.keypoints.any()
    assert not mask.pixels.any()


def test_stored_views_are_those_made_while_reading(person_folder: Path) -> None:
    requests = {view: ViewRequest(Geometry(64, 64), FlowSpec()) for view in ("flow", "pose", "mask")}
    frames = [frame for _, frame in live_frames(read_frames(person_folder / "person.mp4"), requests, PeopleCount())]
    for view in ("flow", "pose", "mask"):
        pixels = np.stack([frame.pixels(view) for frame in frames])
        kept = read_view(person_folder, view, "person.mp4").frames(np.arange(30), height=64, width=68)
        assert np.array_equal(pixels, kept), view


def test_a_second_run_touches_nothing(folder: Path) -> None:
    assert _make(folder) == _made(2)
    before = _changes(folder)
    assert _make(folder) == _made(0, 2)
    assert _changes(folder) == before
    assert len(before) == 2


@pytest.mark.parametrize("flow", [FlowSpec(0.2), FlowSpec(algorithm="farneback"), FlowSpec(size_px=64)])
def test_another_recipe_makes_the_view_anew_once(folder: Path, flow: FlowSpec) -> None:
    _make(folder)
    before = read_view(folder, "flow", "a.mp4").pixels
    other = Recipe(views=("flow",), flow=flow)
    assert [_make(folder, other), _make(folder, other)] == [_made(2), _made(0, 2)]
    after = read_view(folder, "flow", "a.mp4")
    assert after.attributes["flow_size_px"] == flow.size_px == after.height
    assert not np.array_equal(after.pixels, before)


def _rewritten(folder: Path, video_id: str, made_by: str | None) -> Path:
    """The file of a stored flow, which now says another maker, or none."""
    stored = read_view(folder, "flow", video_id)
    assert stored.pixels is not None
    known = {name: value for name, value in stored.attributes.items() if name != MADE_BY}
    known |= {MADE_BY: made_by} if made_by else {}
    write_frames(folder, "flow", video_id, stored.pixels, stored.timestamps, attributes=known)
    return view_path(folder, "flow", video_id)


def test_a_view_by_another_release_is_made_anew_and_one_that_names_none_is_kept(folder: Path) -> None:
    _make(folder)
    content = view_path(folder, "flow", "a.mp4").read_bytes()
    other, older = _rewritten(folder, "a.mp4", "dis r1 (opencv 4.0)"), _rewritten(folder, "b.mp4", None)
    kept = older.read_bytes()
    videos = ("a.mp4", "b.mp4")
    assert makers_of(folder, "flow", videos, FlowSpec()) == ("dis r1 (opencv 4.0)",)
    assert makers_of(folder, "flow", ("b.mp4",), FlowSpec()) == (identity_of("flow"),)
    not_stored = makers_of(folder, "flow", (*videos, "c.mp4"), FlowSpec())
    assert not_stored == tuple(sorted(("dis r1 (opencv 4.0)", str(identity_of("flow")))))
    assert makers_of(folder, "rgb", videos, None) == makers_of(folder, "depth", videos, None) == ()
    assert _make(folder) == _made(1, 1)
    assert (other.read_bytes(), older.read_bytes()) == (content, kept)


def test_new_content_damage_and_loss_make_just_that_video_anew(folder: Path) -> None:
    _make(folder)
    kept = _changes(folder)["b.mp4.npz"]
    content = view_path(folder, "flow", "a.mp4").read_bytes()
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 255
    view_path(folder, "flow", "a.mp4").write_bytes(damaged)
    assert _make(folder) == _made(1, 1)
    assert view_path(folder, "flow", "a.mp4").read_bytes() == content
    view_path(folder, "flow", "a.mp4").unlink()
    assert _make(folder) == _made(1, 1)
    (folder / "a.mp4").replace(folder / "c.mp4")
    (folder / "a.mp4").write_bytes((folder / "b.mp4").read_bytes())
    assert _make(folder) == _made(2, 1)
    assert read_view(folder, "flow", "a.mp4").attributes["content_sha256"] == content_sha256(folder / "b.mp4")
    assert _changes(folder)["b.mp4.npz"] == kept


def test_overwrite_makes_all_anew_and_the_same_bytes(folder: Path) -> None:
    _make(folder)
    before, content = _changes(folder), view_path(folder, "flow", "a.mp4").read_bytes()
    assert _make(folder, overwrite=True) == _made(2)
    assert all(_changes(folder)[name] > change for name, change in before.items())
    assert view_path(folder, "flow", "a.mp4").read_bytes() == content


def test_views_from_elsewhere_are_kept_until_they_are_stale_or_overwritten(folder: Path) -> None:
    exact = np.full((10, 32, 32, 2), 200, np.uint8)
    for video_id, digest in (("a.mp4", content_sha256(folder / "a.mp4")), ("b.mp4", "0" * 64)):
        known = {"algorithm": "exact", "content_sha256": digest, "flow_interval_seconds": 1 / 15}
        write_frames(folder, "flow", video_id, exact, np.arange(10) / 15, attributes=known)
    assert _make(folder) == _made(1, 1)
    assert np.array_equal(read_view(folder, "flow", "a.mp4").pixels, exact)
    assert _make(folder, overwrite=True) == _made(2)
    assert not np.array_equal(read_view(folder, "flow", "a.mp4").pixels, exact)


def test_a_video_cut_at_its_end_has_the_views_of_what_decodes(folder: Path, cut_video: Callable[[Path], Path]) -> None:
    cut = cut_video(folder / "cut.mkv")
    assert _make(folder) == _made(3, truncated=1)
    assert _make(folder) == _made(0, 3, truncated=1)
    stored = read_view(folder, "flow", "cut.mkv")
    assert len(stored.timestamps) == len(list(read_frames(cut)))
    assert str(stored.attributes["lost"]).startswith("it ends after 1.")


def test_leftovers_of_killed_runs_are_swept_by_the_only_writer(folder: Path) -> None:
    (folder / "views" / "flow").mkdir(parents=True)
    leftovers = [folder / "views" / name for name in (".failures.jsonl.7.partial", "flow/.a.mp4.npz.7.partial")]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    with (
        folder_lock(folder / "views", "views folder"),
        pytest.raises(UsageError, match=r"^views folder .* is being written by process"),
    ):
        _make(folder)
    assert all(leftover.exists() for leftover in leftovers)
    _make(folder)
    names = {path.relative_to(folder / "views").as_posix() for path in (folder / "views").rglob("*.*")}
    assert names == {"flow/a.mp4.npz", "flow/b.mp4.npz", "writer.lock"}


def test_a_video_whose_pictures_change_their_size_has_views_of_the_first(
    tmp_path: Path, write_video: WriteVideo, square_at: Callable[..., np.ndarray]
) -> None:
    large = [square_at(10 + index, 20) for index in range(10)]
    parts = [
        write_video(tmp_path / f"{index}.h264", pictures, np.arange(10) / 25, container="h264")
        for index, pictures in enumerate((large, [picture[:64, :80] for picture in large]))
    ]
    folder = tmp_path / "joined"
    folder.mkdir()
    (folder / "joined.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    shapes = {pixels.shape for _, pixels in read_frames(folder / "joined.h264")}
    assert _make(folder) == _made(1)
    assert shapes == {(96, 96, 3), (64, 80, 3)}
    stored = read_view(folder, "flow", "joined.h264")
    assert (len(stored.timestamps), stored.height, stored.width) == (20, 128, 128)
