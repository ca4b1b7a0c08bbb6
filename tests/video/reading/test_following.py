"""Windows around people: the same bytes whole, in parts, from the store, from the pictures and in clips."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, MissingViewError
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.following.rule import Following
from cocon.video.following.windows import WindowTrack
from cocon.video.geometry import Geometry, centre_crop
from cocon.video.making.recipe import Recipe
from cocon.video.making.run import make_views
from cocon.video.reading.live import PeopleCount, ViewRequest, live_frames
from cocon.video.reading.people_tracks import PeopleTracks
from cocon.video.reading.reader import MultiViewClip, VideoSource
from cocon.video.reading.whole_video import WholeVideo, whole_video
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.store.dataset import DatasetFolder
from cocon.video.store.files import read_view, view_path, write_keypoints
from cocon.video.workers.pool import WorkerPool

pytestmark = pytest.mark.videos

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]

HEIGHT, WIDTH, NUM_FRAMES = 72, 128, 80
TIMES = np.arange(NUM_FRAMES) / 20
# Where the middle of a square of 16 pixels is that somebody is taken to be.
PLACES = np.stack([np.linspace(12, 100, NUM_FRAMES), np.linspace(20, 50, NUM_FRAMES)], axis=1)
FOLLOWING = Following(smoothing_seconds=0.3, hold_seconds=0.5)
SPEC = ClipSpec(2, 3, step_seconds=0.1)


def _requests(following: Following | None = FOLLOWING) -> dict[str, ViewRequest]:
    return {
        "rgb": ViewRequest(Geometry(36, 32, following)),
        "flow": ViewRequest(Geometry(36, 32, following), FlowSpec(0.1, size_px=64)),
    }


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    with WorkerPool() as pool:
        yield pool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """A bright square that walks over a textured ground; its stored pose lacks it for a second and a half."""
    root = tmp_path_factory.mktemp("walk")
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(0, 90, (9, 16, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    pictures = []
    for x, y in PLACES:
        picture = ground.copy()
        picture[round(y) - 8 : round(y) + 8, round(x) - 8 : round(x) + 8] = 250
        pictures.append(picture)
    write_video(root / "walk.mp4", pictures, TIMES)
    points = np.ones((NUM_FRAMES, 1, 17, 3), np.float16)
    offsets = np.stack([np.linspace(-8, 8, 17), np.linspace(-8, 8, 17)], axis=1)
    points[:, 0, :, :2] = PLACES[:, None] + offsets + rng.normal(0, 1, (NUM_FRAMES, 1, 1))
    points[30:60] = 0
    write_keypoints(root, "walk.mp4", points, TIMES, height=HEIGHT, width=WIDTH, attributes={"made_by": "drawn r1"})
    return root


def _tracks(folder: Path, requests: dict[str, ViewRequest]) -> PeopleTracks:
    pose = read_view(folder, "pose", "walk.mp4")
    return PeopleTracks.of((request.geometry for request in requests.values()), {"pose": pose})


def _whole(folder: Path, workers: WorkerPool, begin: float = 0.0, end: float = 99.0) -> WholeVideo:
    known = _tracks(folder, requests := _requests()).known
    path = folder / "walk.mp4"
    return whole_video(path, requests, workers, begin_seconds=begin, end_seconds=end, tracks=known)


def _clips(folder: Path, requests: dict[str, ViewRequest], **settings: object) -> list[MultiViewClip]:
    return list(VideoSource(folder / "walk.mp4", SPEC, requests, **settings).clips())  # type: ignore[arg-type]


def _pixels(whole: WholeVideo, view: str) -> Pixels:
    pixels = whole.views[view].pixels
    assert pixels is not None
    return pixels


def test_the_person_is_in_the_middle_while_somebody_is_found(folder: Path, workers: WorkerPool) -> None:
    whole = _whole(folder, workers)
    assert _pixels(whole, "rgb").shape == (NUM_FRAMES, 36, 36, 3)
    assert _pixels(whole, "flow").shape == (NUM_FRAMES, 36, 36, 2)
    for index in (15, 20, 70):
        bright = np.argwhere(_pixels(whole, "rgb")[index].min(axis=-1) > 180)
        assert np.abs(bright.mean(axis=0) - 17.5).max() < 3
        assert np.ptp(bright, axis=0).min() > 18  # 16 of 24 pixels and not of 72
    lost = np.argwhere(_pixels(whole, "rgb")[55].min(axis=-1) > 180)
    assert len(lost) == 0 or np.ptp(lost, axis=0).max() <= 10  # the middle of the picture, as large as it is


@pytest.mark.parametrize(("begin", "end"), [(0.4, 1.1), (1.2, 2.4), (2.6, 4.0), (3.9, 9.0)])
def test_a_part_has_the_bytes_of_the_whole(begin: float, end: float, folder: Path, workers: WorkerPool) -> None:
    whole, part = _whole(folder, workers), _whole(folder, workers, begin, end)
    inside = (whole.timestamps >= begin - 1e-6) & (whole.timestamps < end - 1e-6)
    for view in ("rgb", "flow"):
        np.testing.assert_array_equal(_pixels(part, view), _pixels(whole, view)[inside])


def test_clips_have_the_bytes_of_the_whole(folder: Path, workers: WorkerPool) -> None:
    whole = _whole(folder, workers)
    for clips in (_clips(folder, _requests()), list(clips_in_worker(workers, _source(folder)))):
        for clip in clips[:-1]:
            moments = clip.start_seconds + 0.1 * np.arange(SPEC.num_frames)
            frames = np.abs(whole.timestamps[None] - moments[:, None]).argmin(axis=1)
            for view in ("rgb", "flow"):
                expected = centre_crop(_pixels(whole, view)[frames], 32)
                np.testing.assert_array_equal(clip.pixels[view].reshape(expected.shape), expected)


def _source(folder: Path) -> VideoSource:
    return VideoSource(folder / "walk.mp4", SPEC, _requests())


def test_a_view_may_follow_while_another_shows_the_whole_picture(folder: Path) -> None:
    both, plain = _requests(), _requests(None)
    mixed = {"rgb": plain["rgb"], "flow": both["flow"]}
    for followed, whole, clip in zip(_clips(folder, both), _clips(folder, plain), _clips(folder, mixed), strict=True):
        np.testing.assert_array_equal(clip.pixels["rgb"], whole.pixels["rgb"])
        np.testing.assert_array_equal(clip.pixels["flow"], followed.pixels["flow"])


def test_pictures_that_wait_for_their_windows_have_few_lines() -> None:
    frames = [(index / 10, np.zeros((1200, 1600, 3), np.uint8)) for index in range(3)]
    known = PeopleTracks([FOLLOWING], [WindowTrack(FOLLOWING)])
    for _, frame in live_frames(frames, {"rgb": _requests()["rgb"]}, PeopleCount(), known):
        assert frame.frame.pixels.shape == (1080, 1440, 3)
        assert frame.pixels("rgb").shape == (36, 36, 3)


def test_who_found_the_people_is_compared_with_what_the_model_learned_from(folder: Path) -> None:
    requests = {"rgb": ViewRequest(Geometry(36, 32, FOLLOWING), people_by=("blazepose-full r1 (mediapipe 0.10)",))}
    source = VideoSource(folder / "walk.mp4", SPEC, requests)
    list(source.clips())
    assert source.differences == [
        "view 'pose', by which people are followed, is made by drawn r1, but the model followed people by that of "
        "blazepose-full r1 (mediapipe 0.10)"
    ]
    with pytest.raises(MismatchError, match="drawn r1"):
        _clips(folder, requests, is_strict=True)


def test_a_damaged_view_of_people_is_said_of_the_view_that_follows_them(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "walk.mp4").write_bytes((folder / "walk.mp4").read_bytes())
    path = view_path(tmp_path, "pose", "walk.mp4")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no archive")
    with pytest.raises(MissingViewError, match=r"view 'rgb' follows people by view 'pose': view file .* is damaged"):
        _clips(tmp_path, {"rgb": _requests()["rgb"]})


@pytest.fixture(scope="module")
def person_folder(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """A drawn person of two thirds of the height walks at the left of a wide picture, which is empty in the end."""
    root = tmp_path_factory.mktemp("person")
    draw_person = runpy.run_path(str(Path(__file__).parents[1] / "person.py"))["draw_person"]
    pictures = []
    for shift in range(20):
        picture = np.full((480, 800, 3), (200, 205, 210), np.uint8)
        if shift < 12:
            picture[120:440, 20 + 4 * shift : 360 + 4 * shift] = draw_person(0)[0]
        pictures.append(picture)
    write_video(root / "walk.mp4", pictures, np.arange(20) / 10)
    return root


def test_people_found_while_reading_give_the_bytes_of_a_stored_view(person_folder: Path, workers: WorkerPool) -> None:
    flows = {"rgb": None, "flow": FlowSpec(), "pose": None, "mask": None}
    requests = {view: ViewRequest(Geometry(36, 32, FOLLOWING), flow) for view, flow in flows.items()}
    few = {view: requests[view] for view in ("rgb", "flow")}
    live = _clips(person_folder, requests)
    whole = whole_video(person_folder / "walk.mp4", few, workers)
    source = VideoSource(person_folder / "walk.mp4", SPEC, few)
    live_few = list(source.clips())
    assert [note for note in source.notes if "the middle of the picture is looked at" in note]
    make_views(DatasetFolder.open(person_folder), Recipe(views=("flow", "pose", "mask")), num_workers=1)
    stored = _clips(person_folder, requests)
    for clip, clip_few, kept in zip(live, live_few, stored, strict=True):
        for view in requests:
            np.testing.assert_array_equal(clip.pixels[view], kept.pixels[view], view)
        for view in few:
            np.testing.assert_array_equal(clip.pixels[view], clip_few.pixels[view], view)
    (found,), (known,) = whole.tracks, _tracks(person_folder, few).known
    np.testing.assert_array_equal(found.array, known.array)
    assert found.array[8, 3] < 0.95  # somebody was found
    by_stored = whole_video(person_folder / "walk.mp4", few, workers, tracks=[known])
    np.testing.assert_array_equal(_pixels(whole, "rgb"), _pixels(by_stored, "rgb"))
