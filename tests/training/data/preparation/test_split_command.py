"""The command `cocon data split`."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.video.store.dataset import DatasetFolder

Outcome = tuple[int, str, str]
Cocon = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of eight videos each, two of every of four subjects; no pictures are needed to split them."""
    root = tmp_path / "videos"
    for label in ("jump", "run", "wave"):
        (root / label).mkdir(parents=True)
        for number in range(8):
            (root / label / f"{label}_s{number // 2}_t{number % 2}.mp4").write_bytes(b"")
    return root


def _splits(root: Path) -> dict[str, str]:
    return {video.video_id: video.split for video in DatasetFolder.open(root).videos}


def test_groups_are_never_torn_and_classes_are_balanced(folder: Path, cocon: Cocon) -> None:
    before = DatasetFolder.open(folder).videos
    code, output, errors = cocon("data", "split", folder, "--group", r"_(s\d)_", "--test", "0.25", "--val", "0.25")
    assert (code, errors) == (0, "")
    assert output.endswith(f"{folder / 'manifest.csv'}: 12 train, 6 val, 6 test of 24 videos in 4 groups\n")
    after = DatasetFolder.open(folder).videos
    assert [(video.video_id, video.path, video.label) for video in after] == [
        (video.video_id, video.path, video.label) for video in before
    ]
    assert {video.group for video in after} == {"s0", "s1", "s2", "s3"}
    assert len({(video.group, video.split) for video in after}) == 4
    by_class = Counter((video.label, video.split) for video in after)
    assert by_class == {(c, s): n for c in ("jump", "run", "wave") for s, n in (("train", 4), ("val", 2), ("test", 2))}


def test_a_manifest_is_replaced_only_when_told_and_keeps_its_other_columns(folder: Path, cocon: Cocon) -> None:
    manifest = folder / "manifest.csv"
    rows = [f"v{n},jump/jump_s{n // 2}_t{n % 2}.mp4,jump,cam{n % 2}" for n in range(8)]
    manifest.write_text("\n".join(["video_id,path,label,camera", *rows]) + "\n")
    before = manifest.read_bytes()
    code, output, errors = cocon("data", "split", folder, "--test", "0.5")
    assert (code, output) == (2, "")
    assert errors == f"error: '{manifest}' is there already; give --overwrite to have its splits replaced\n"
    assert manifest.read_bytes() == before
    code, output, _ = cocon("data", "split", folder, "--test", "0.5", "--overwrite", "--json")
    told = json.loads(output)
    assert code == 0
    assert told["splits"] == {"train": 4, "test": 4}
    assert told["classes"] == {"jump": {"train": 4, "test": 4}}
    lines = manifest.read_text().splitlines()
    assert lines[0] == "video_id,path,label,camera,group,split"
    assert [line.rsplit(",", 2)[0] for line in lines[1:]] == rows
    assert _splits(folder).keys() == {f"v{n}" for n in range(8)}


def test_what_cannot_be_balanced_is_said(folder: Path, cocon: Cocon) -> None:
    (folder / "rare").mkdir()
    (folder / "rare" / "rare_s0_t0.mp4").write_bytes(b"")
    code, _, errors = cocon("data", "split", folder, "--group", r"_s(\d)_", "--test", "0.25")
    assert code == 0
    assert errors == "class 'rare' has no test video of its 1\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--group", "s[0-9]"], "--group 's[0-9]' has no parentheses around the part of a path that names the group"),
        (["--group", "(s"], "--group '(s' is no regular expression: missing ), unterminated subpattern"),
        (["--group", "(camera[0-9])"], "finds no group in 'jump/jump_s0_t0.mp4'; every path must have one"),
        (["--group", "(mp4)"], "the 1 groups of"),
        (["--test", "1.5"], "--test (1.5) must be a share from 0 to below 1"),
        (
            ["--test", "0.6", "--val", "0.5"],
            "--test (0.6) and --val (0.5) must be more than 0 and less than 1 together",
        ),
        (["--test", "0"], "--test (0) must be more than 0 and less than 1 together"),
    ],
)
def test_wrong_wishes_are_one_line_and_write_nothing(
    options: list[str], message: str, folder: Path, cocon: Cocon
) -> None:
    code, output, errors = cocon("data", "split", folder, *options)
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert not (folder / "manifest.csv").exists()


def test_folders_that_are_split_or_have_no_labels_are_refused(tmp_path: Path, cocon: Cocon) -> None:
    for name in ("train/a/1.mp4", "test/a/2.mp4"):
        (tmp_path / "split" / name).parent.mkdir(parents=True)
        (tmp_path / "split" / name).write_bytes(b"")
    assert "is split by its folders: 1 train, 1 test; give --overwrite" in cocon("data", "split", tmp_path / "split")[2]
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "a.mp4").write_bytes(b"")
    assert "has no labels: let videos lie in a folder for each class" in cocon("data", "split", tmp_path / "bare")[2]
