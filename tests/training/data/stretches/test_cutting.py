"""Long videos are cut by their headers: nothing is lost, nothing doubled, and short ones stay what they are."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.training.config.run import Config
from cocon.training.data.loader import view_requests
from cocon.training.data.stretches.cutting import Footage, Stretch, cut, few_of_each, name_of
from cocon.training.data.stretches.opening import training_frames
from cocon.video.store.dataset import DatasetFolder, VideoEntry

MakeConfig = Callable[..., Config]

LONG = ["data.long_seconds=6", "data.stretch_seconds=2.5"]


def _cut(entries: tuple[VideoEntry, ...], config: Config) -> Footage:
    return cut(entries, config.data, view_requests(config), num_epochs=lambda number: config.training.epochs)


def test_videos_that_are_short_stay_as_they_are(figures: Path, long_films: Path, tiny_config: MakeConfig) -> None:
    for folder, settings in ((figures, LONG), (long_films, ["data.long_seconds=13"])):
        entries = DatasetFolder.open(folder).split("train")
        footage = _cut(entries, tiny_config(*settings))
        assert footage == Footage(entries, len(entries))
        assert footage.reuse is None


def test_stretches_are_equally_long_and_make_the_whole(long_films: Path, tiny_config: MakeConfig) -> None:
    entries = DatasetFolder.open(long_films).split("train")
    footage = _cut(entries, tiny_config(*LONG, "views=['rgb']"))
    assert footage.num_videos == 3
    assert len(footage.entries) == 3 * 5
    for entry in entries:
        parts = [part for part in footage.entries if name_of(part) == entry.video_id]
        assert parts[0].start_seconds == 0
        assert parts[-1].end_seconds == pytest.approx(12.0)
        assert all(one.end_seconds == other.start_seconds for one, other in pairwise(parts))
        assert all(part.end_seconds - part.start_seconds == pytest.approx(2.4, abs=1e-3) for part in parts)
        assert {(part.path, part.label, part.store_id, part.group) for part in parts} == {
            (entry.path, entry.label, entry.store_id, entry.video_id)
        }
    assert len({part.video_id for part in footage.entries}) == 15


def test_the_room_that_stretches_take_is_known_before(long_films: Path, tiny_config: MakeConfig) -> None:
    config = tiny_config(*LONG, "views=['rgb', 'flow']")
    footage = _cut(DatasetFolder.open(long_films).split("train"), config)
    expected = 2.4 * 10 * 28 * 28 * (3 + 2)
    assert footage.mean_bytes == pytest.approx(expected, rel=0.01)
    assert footage.capacity(int(10 * expected)) in (7, 8)  # a fifth is for what is decoded ahead
    assert footage.capacity(0) == 2


def test_short_ones_among_long_ones_are_cut_too_and_what_cannot_be_read_stays(
    long_films: Path, tiny_config: MakeConfig, tmp_path: Path
) -> None:
    whole, *_ = DatasetFolder.open(long_films).split("train")
    part = dataclasses.replace(whole, video_id=f"{whole.video_id}#1-4", start_seconds=1.0, end_seconds=4.0, group="g")
    broken = dataclasses.replace(whole, video_id="broken", path=tmp_path / "broken.mp4")
    broken.path.write_bytes(bytes(1 << 20))
    gone = dataclasses.replace(whole, video_id="gone", path=tmp_path / "gone.mp4")
    footage = _cut((part, broken, gone, whole), tiny_config(*LONG))
    assert footage.num_videos == 4
    assert [name_of(entry) for entry in footage.entries] == [part.video_id] * 2 + ["broken", "gone"] + [
        whole.video_id
    ] * 5
    first, second = footage.entries[:2]
    assert (first.start_seconds, second.start_seconds, second.end_seconds) == pytest.approx((1.0, 2.5, 4.0))
    assert isinstance(first, Stretch) and first.group == "g" and first.store_id == whole.video_id
    assert footage.entries[2:4] == (broken, gone)


def test_short_videos_are_pooled_where_they_are_to_be_drawn_from_more_often(
    figures: Path, tiny_config: MakeConfig
) -> None:
    entries = DatasetFolder.open(figures).split("train")
    footage = _cut(entries, tiny_config("data.reuse=4"))
    assert (footage.entries, footage.reuse) == (entries, 4)


@pytest.mark.parametrize(("num_epochs", "reuse"), [(0, 1), (15, 15), (300, 100)])
def test_no_stretch_is_drawn_from_so_often_that_others_are_never_seen(
    num_epochs: int, reuse: int, long_films: Path, tiny_config: MakeConfig
) -> None:
    entries = DatasetFolder.open(long_films).split("train")
    assert _cut(entries, tiny_config(*LONG, f"training.epochs={num_epochs}")).reuse == reuse


def test_few_of_each_are_spread_over_a_video(long_films: Path, tiny_config: MakeConfig) -> None:
    footage = _cut(DatasetFolder.open(long_films).split("train"), tiny_config(*LONG))
    assert few_of_each(footage.entries, 2) == [1, 3, 6, 8, 11, 13]
    assert few_of_each(footage.entries, 9) == list(range(15))


def test_who_waits_sees_how_many_headers_were_read(figures: Path, long_films: Path, tiny_config: MakeConfig) -> None:
    shown: list[tuple[str, int, int | None]] = []

    @contextmanager
    def bar(description: str) -> Iterator[Callable[[int, int | None], None]]:
        yield lambda done, total: shown.append((description, done, total))

    for folder in (figures, long_films):
        frames = training_frames(tiny_config(*LONG), DatasetFolder.open(folder), bar).train
        frames.close()
    assert shown == [("looking at videos", done, 3) for done in (1, 2, 3)]


def test_stretches_shorter_than_a_clip_are_refused(long_films: Path, tiny_config: MakeConfig) -> None:
    dataset = DatasetFolder.open(long_films)
    clip = ["clip.num_blocks=4", "clip.frames_per_block=5", "clip.step_seconds=0.2"]
    with pytest.raises(UsageError, match=r"a clip takes 3\.8 s.*stretches of 2\.4 s.*data\.stretch_seconds=9,"):
        training_frames(tiny_config(*LONG, *clip), dataset)
    frames = training_frames(tiny_config(LONG[0], "data.stretch_seconds=9", *clip), dataset).train
    frames.close()
