"""UCF101, HMDB51 and Kinetics by their official lists, written as they are published, in small."""

import logging
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.training.config.input_sections import DataSection
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]

# Alphabetical order puts HammerThrow first; the real list has it second.
UCF_CLASSES = ("Hammering", "HammerThrow", "HandstandPushups")
HMDB_CLASSES = ("brush_hair", "cartwheel")


def _spread(figures: Path, folder: Path, names: Iterable[str]) -> Path:
    """Videos of these names, their contents taken in turn from the generated ones."""
    sources = sorted((figures / "videos").iterdir())
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources[number % len(sources)], path)
    return folder


def _empty_files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def _ucf_name(label: str, group: int) -> str:
    spelled = "HandStandPushups" if label == "HandstandPushups" else label
    return f"{label}/v_{spelled}_g{group:02d}_c01.avi"


def _ucf_lists(folder: Path) -> Path:
    """Groups 1, 2 and 3 are tested in splits 1, 2 and 3; Windows line ends, a blank line at the end."""
    files = {"classInd.txt": "".join(f"{number} {name}\r\n" for number, name in enumerate(UCF_CLASSES, start=1))}
    for split in (1, 2, 3):
        train = [
            f"{_ucf_name(label, group)} {number}"
            for number, label in enumerate(UCF_CLASSES, start=1)
            for group in (1, 2, 3)
            if group != split
        ]
        files[f"trainlist0{split}.txt"] = "\r\n".join(train) + "\r\n\r\n"
        files[f"testlist0{split}.txt"] = "".join(f"{_ucf_name(label, split)}\r\n" for label in UCF_CLASSES)
    return _write(folder, files)


def _hmdb_name(label: str, number: int) -> str:
    return f"#Movie!_{label}_u_cm_np1_ba_med_{number}.avi"


def _hmdb_lists(folder: Path) -> Path:
    """Of four videos a class, split 1 tests on number 0, split 2 on number 1; number 3 is never used."""
    return _write(
        folder,
        {
            f"{label}_test_split{split}.txt": "".join(
                f"{_hmdb_name(label, number)} {0 if number == 3 else 2 if number == split - 1 else 1} \n"
                for number in range(4)
            )
            for label in HMDB_CLASSES
            for split in (1, 2, 3)
        },
    )


@pytest.fixture
def ucf101(figures: Path, tmp_path: Path) -> Path:
    """`UCF-101/` with the lists beside it."""
    _ucf_lists(tmp_path / "ucfTrainTestlist")
    names = [_ucf_name(label, group) for label in UCF_CLASSES for group in (1, 2, 3)]
    return _spread(figures, tmp_path / "UCF-101", names)


@pytest.fixture
def hmdb51(figures: Path, tmp_path: Path) -> Path:
    """`hmdb51/` with the lists in it."""
    _hmdb_lists(tmp_path / "hmdb51" / "testTrainMulti_7030_splits")
    names = [f"{label}/{_hmdb_name(label, number)}" for label in HMDB_CLASSES for number in range(4)]
    return _spread(figures, tmp_path / "hmdb51", names)


def _table(dataset: DatasetFolder, split: str) -> list[tuple[str, str, str]]:
    return [(video.video_id, video.label, video.group) for video in dataset.split(split)]


def test_ucf101_is_read_as_published(ucf101: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = open_dataset(DataSection(folder=ucf101, dataset="ucf101"))
    assert _table(dataset, "test") == [
        ("HammerThrow__v_HammerThrow_g01_c01.avi", "HammerThrow", "HammerThrow_g01"),
        ("Hammering__v_Hammering_g01_c01.avi", "Hammering", "Hammering_g01"),
        ("HandstandPushups__v_HandStandPushups_g01_c01.avi", "HandstandPushups", "HandstandPushups_g01"),
    ]
    assert [video.group[-3:] for video in dataset.split("train")] == ["g02", "g03"] * 3
    assert dataset.labels == ("HammerThrow", "Hammering", "HandstandPushups")
    assert not caplog.records


@pytest.mark.parametrize("split", [1, 2, 3])
def test_an_official_split_is_chosen_by_its_number(split: int, ucf101: Path, hmdb51: Path) -> None:
    ucf = open_dataset(DataSection(folder=ucf101, dataset="ucf101", official_split=split))
    assert {video.group[-3:] for video in ucf.split("test")} == {f"g0{split}"}
    hmdb = open_dataset(DataSection(folder=hmdb51, dataset="hmdb51", official_split=split))
    assert {video.path.stem[-1] for video in hmdb.split("test")} == {str(split - 1)}
    assert {video.path.stem[-1] for video in hmdb.split("train")} == {"0", "1", "2"} - {str(split - 1)}


def test_ids_are_those_that_views_are_stored_under(ucf101: Path) -> None:
    (ucf101 / "views" / "flow").mkdir(parents=True)
    plain = {video.path: video.video_id for video in DatasetFolder.open(ucf101).videos}
    listed = open_dataset(DataSection(folder=ucf101, dataset="ucf101")).videos
    assert {video.path: video.video_id for video in listed} == plain


def test_other_spellings_endings_and_places_of_a_video_are_understood(tmp_path: Path) -> None:
    folder = _empty_files(
        tmp_path / "data",
        "videos/HandStandPushups/v_HandstandPushups_g01_c01.mp4",
        "v_HammerThrow_g02_c01.avi",
        "Hammering/v_Hammering_g02_c01.mp4.webm",
    )
    dataset = open_dataset(DataSection(folder=folder, dataset="ucf101", split_files=_ucf_lists(tmp_path / "lists")))
    assert {video.video_id: video.label for video in dataset.videos} == {
        "Hammering__v_Hammering_g02_c01.mp4.webm": "Hammering",
        "v_HammerThrow_g02_c01.avi": "HammerThrow",
        "videos__HandStandPushups__v_HandstandPushups_g01_c01.mp4": "HandstandPushups",
    }


def test_two_videos_of_one_name_belong_to_the_class_they_lie_in(tmp_path: Path) -> None:
    lists = {f"{label}_test_split1.txt": "same name.avi 1\n" for label in ("run", "walk")}
    folder = _empty_files(_write(tmp_path, lists), "walk/same name.avi", "other/same name.avi")
    dataset = open_dataset(DataSection(folder=folder, dataset="hmdb51"))
    assert {video.video_id: video.label for video in dataset.videos} == {
        "other__same name.avi": "run",
        "walk__same name.avi": "walk",
    }


def test_what_is_not_on_disk_and_what_is_in_no_list_is_said_in_a_line_each(
    hmdb51: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (hmdb51 / "cartwheel" / _hmdb_name("cartwheel", 1)).unlink()
    (hmdb51 / "cartwheel" / _hmdb_name("cartwheel", 3)).unlink()  # used by no split: not missed
    _empty_files(hmdb51, "cartwheel/mine.avi")
    with caplog.at_level(logging.WARNING):
        assert len(open_dataset(DataSection(folder=hmdb51, dataset="hmdb51")).videos) == 5
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 6 videos of 'hmdb51' are not on disk, such as 'cartwheel/#Movie!_cartwheel_u_cm_np1_ba_med_1'",
        f"1 videos are in no list of 'hmdb51' and left out, such as '{hmdb51}/cartwheel/mine.avi'",
    ]


KINETICS = """label,youtube_id,time_start,time_end,split,is_cc
"playing guitar, loudly",-_abcDEF_12,5,15,train,0
playing guitar,aaaaaaaaaaa,0,10,train,0
yoga,bbbbbbbbbbb,120.0,130.0,{judged},0
yoga,ccccccccccc,,,train,0
yoga,gone_______,1,11,train,0
"""


def test_kinetics_is_read_as_published(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _empty_files(
        tmp_path,
        "playing guitar, loudly/-_abcDEF_12_000005_000015.mp4",
        "playing_guitar/aaaaaaaaaaa_000000_000010.mp4.webm",
        "bbbbbbbbbbb_000120_000130.mkv",
        "yoga/ccccccccccc.mp4",
        "yoga/ddddddddddd_000001_000011.mp4",
    )
    _write(
        folder / "annotations",
        {
            "train.csv": KINETICS.format(judged="val"),
            "everything.csv": KINETICS.format(judged="val"),
            "test.csv": "youtube_id,time_start,time_end,split\nddddddddddd,1,11,test\n",
            "notes.csv": "label,count\nyoga,4\n",
        },
    )
    dataset = open_dataset(DataSection(folder=folder, dataset="kinetics"))
    assert {(video.video_id, video.label, video.split, video.group) for video in dataset.videos} == {
        ("playing guitar, loudly__-_abcDEF_12_000005_000015.mp4", "playing guitar, loudly", "train", "-_abcDEF_12"),
        ("playing_guitar__aaaaaaaaaaa_000000_000010.mp4.webm", "playing guitar", "train", "aaaaaaaaaaa"),
        ("bbbbbbbbbbb_000120_000130.mkv", "yoga", "test", "bbbbbbbbbbb"),
        ("yoga__ccccccccccc.mp4", "yoga", "train", "ccccccccccc"),
    }
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 5 videos of 'kinetics' are not on disk, such as 'yoga/gone________000001_000011'"
    ]


def test_kinetics_is_judged_on_the_test_list_where_there_is_no_validation_list(tmp_path: Path) -> None:
    folder = _empty_files(tmp_path, "aaaaaaaaaaa_000000_000010.mp4", "bbbbbbbbbbb_000120_000130.mp4")
    _write(folder, {"kinetics.csv": KINETICS.format(judged="test")})
    dataset = open_dataset(DataSection(folder=folder, dataset="kinetics"))
    assert [video.path.name[:3] for video in dataset.split("test")] == ["bbb"]


@pytest.mark.parametrize("name", ["ucf101", "hmdb51", "kinetics"])
def test_missing_lists_are_asked_for(name: str, tmp_path: Path) -> None:
    folder = _empty_files(tmp_path / "videos", "run/a.avi")
    with pytest.raises(UsageError, match=r"needs its official split files .* --set data\.split_files=FOLDER"):
        open_dataset(DataSection(folder=folder, dataset=name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classInd.txt", "ApplyEyeMakeup\n"),
        ("trainlist01.txt", "Hammering/v_Hammering_g02_c01.avi 0\n"),  # ids begin with 1
        ("trainlist01.txt", "Hammering/v_Hammering_g02_c01.avi 2\n"),  # the alphabetical position
        ("testlist01.txt", "Surfing/v_Surfing_g01_c01.avi\n"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(name: str, text: str, ucf101: Path) -> None:
    (ucf101.parent / "ucfTrainTestlist" / name).write_text(text)
    with pytest.raises(UsageError, match=rf"{name}' line 1: '{text.strip()}' is not"):
        open_dataset(DataSection(folder=ucf101, dataset="ucf101"))


@pytest.mark.parametrize(
    ("name", "file", "text", "message"),
    [
        ("hmdb51", "run_test_split1.txt", "a.avi 3\n", "line 1: 'a.avi 3' is not"),
        ("hmdb51", "run_test_split1.txt", "a.avi\n", "line 1: 'a.avi' is not"),
        ("kinetics", "train.csv", "youtube_id,time_start,time_end,split\na,x,1,train\n", "line 2: 'x' and '1' must be"),
        ("kinetics", "train.csv", "youtube_id,time_start,time_end,split\na,0,1,tran\n", "line 2: .* split 'tran' must"),
        ("kinetics", "train.csv", "youtube_id,time_start,time_end,split\nb,0,1,train\n", "none of the 1 videos"),
    ],
)
def test_a_wrong_list_is_refused(name: str, file: str, text: str, message: str, tmp_path: Path) -> None:
    folder = _write(_empty_files(tmp_path, "run/a.avi"), {file: text})
    with pytest.raises(UsageError, match=message):
        open_dataset(DataSection(folder=folder, dataset=name))


def test_lists_without_a_standard_dataset_are_refused(tiny_config: MakeConfig) -> None:
    with pytest.raises(UsageError, match=r"data: .*set data\.dataset too"):
        tiny_config("data.split_files='lists'")
    with pytest.raises(UsageError, match="dataset 'folder' has no official_split 2"):
        tiny_config("data.official_split=2")


@pytest.mark.parametrize(("name", "labels"), [("ucf101", 3), ("hmdb51", 2)])
def test_a_run_trains_on_an_official_split(
    name: str, labels: int, request: pytest.FixtureRequest, tiny_config: MakeConfig, train_tiny: TrainTiny
) -> None:
    folder: Path = request.getfixturevalue(name)
    run = folder.parent / "run"
    settings = [f"data.dataset={name}", f"data.folder='{folder}'", "data.official_split=2", "views=['rgb']"]
    assert train_tiny(tiny_config(*settings), run)
    assert RunFolder.open(run).config.data.official_split == 2
    _, contract = RunFolder.open(run).encoder("rgb")
    assert len(contract.labels) == labels


def test_clips_of_one_source_are_a_group_whatever_they_show(tmp_path: Path) -> None:
    names = {
        "brush_hair": ("April_09_brush_hair_u_nm_np1_ba_goo_0", "April_09_brush_hair_u_nm_np1_ba_goo_1", "mine"),
        "cartwheel": ("April_09_cartwheel_f_cm_np1_le_bad_0", "#20_Rhythm_Cartwheel_f_cm_np12_ri_med_4"),
    }
    folder = _empty_files(tmp_path, *(f"{label}/{name}.avi" for label, found in names.items() for name in found))
    lists = {
        f"{label}_test_split1.txt": "".join(f"{name}.avi 1 \n" for name in found) for label, found in names.items()
    }
    _write(folder / "testTrainMulti_7030_splits", lists)
    dataset = open_dataset(DataSection(folder=folder, dataset="hmdb51"))
    assert {video.path.stem: video.group for video in dataset.videos} == {
        "April_09_brush_hair_u_nm_np1_ba_goo_0": "April_09",
        "April_09_brush_hair_u_nm_np1_ba_goo_1": "April_09",
        "April_09_cartwheel_f_cm_np1_le_bad_0": "April_09",
        "#20_Rhythm_Cartwheel_f_cm_np12_ri_med_4": "#20_Rhythm_Cartwheel",
        "mine": "",
    }


def test_folders_of_splits_are_said_and_never_all_for_training(
    figures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("train/jump/a.mp4", "train/run/b.mp4", "test/jump/c.mp4")
    folder = _spread(figures, tmp_path / "split", list(names))
    dataset = open_dataset(DataSection(folder=folder))
    assert [len(dataset.split(split)) for split in ("train", "val", "test")] == [2, 0, 1]
    assert caplog.messages == [f"'{folder}' is split by its folders: 2 train, 1 test"]
    (folder / "bow").mkdir()
    (folder / "train" / "run" / "b.mp4").rename(folder / "bow" / "b.mp4")
    with pytest.raises(UsageError, match=r"\(1 train, 1 test\) and 1 videos beside them.*manifest\.csv"):
        open_dataset(DataSection(folder=folder)).split("train")


def test_videos_without_a_split_beside_those_with_one_are_counted(
    figures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _spread(figures, tmp_path / "split", ["a.mp4", "b.mp4", "c.mp4"])
    (folder / "manifest.csv").write_text("path,split\na.mp4,train\nb.mp4,\nc.mp4,test\n")
    open_dataset(DataSection(folder=folder))
    assert caplog.messages == ["1 of 3 videos have no split and are not used"]
    (folder / "manifest.csv").write_text("path\na.mp4\nb.mp4\nc.mp4\n")
    assert len(open_dataset(DataSection(folder=folder)).split("train")) == 3
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_official_lists_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    kinetics = f"label,youtube_id,time_start,time_end,split\njump,a,0,10,train\nrun,{'b' * 11},0,10,validate\n"
    _ucf_lists(tmp_path / "ucf101" / "ucfTrainTestlist")
    _hmdb_lists(tmp_path / "hmdb51" / "testTrainMulti_7030_splits")
    _write(tmp_path / "kinetics", {"train.csv": kinetics})
    for path in (*tmp_path.rglob("*.txt"), *tmp_path.rglob("*.csv")):
        path.write_bytes(path.read_bytes().decode().encode(encoding))
    names = {
        "ucf101": [_ucf_name("Hammering", group) for group in (1, 2, 3)],
        "hmdb51": [f"cartwheel/{_hmdb_name('cartwheel', number)}" for number in (0, 1, 2)],
        "kinetics": ["a.mp4", f"{'b' * 11}.mp4"],
    }
    for dataset, videos in names.items():
        folder = _empty_files(tmp_path / dataset, *videos)
        opened = open_dataset(DataSection.model_validate({"folder": folder, "dataset": dataset}))
        assert (len(opened.split("test")), len(opened.videos)) == (1, len(videos)), dataset


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_a_list_in_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    text = "label,youtube_id,time_start,time_end,split\nhüpfen,a,0,10,train\n"
    _empty_files(tmp_path, "a.mp4")
    (tmp_path / "train.csv").write_bytes(text.encode(encoding))
    with pytest.raises(UsageError, match=r"train\.csv' (line 2 is not UTF-8 \(byte 0xfc\)|is UTF-16 without)"):
        open_dataset(DataSection(folder=tmp_path, dataset="kinetics"))
