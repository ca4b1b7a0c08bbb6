"""A box followed through real video files by an exported network: printed, drawn, and said when it cannot be."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cocon.client.tracking.boxes import TrackedFrame
from cocon.client.tracking.output import draw_box, write_film
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.tracking.box_tracking import TrackedBox
from cocon.export.artefacts.parity_clips import moving_squares
from cocon.export.publishing import export_encoders
from cocon.export.sources import ExportOptions, FeatureMapOptions, ViewSource
from cocon.training.evaluation.tracking.figures import motionless, one_pass_scores
from cocon.training.models.encoder import build_encoder
from cocon.training.run_folder.view_files import weights_sha256
from cocon.video.clips import ClipSpec
from cocon.video.decoding.frames import read_frames
from cocon.video.geometry import Geometry
from cocon.video.pictures.drawing import LEFT_COLOUR, RIGHT_COLOUR
from cocon.video.pictures.encode import write_mp4
from cocon.video.views import VIEWS
from tests.client.conftest import Client

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float64]

HEIGHT, WIDTH, NUM_FRAMES = 128, 192, 14
BOX = "20,20,48,48"
_COORDINATES = ("x", "y", "width", "height")


@pytest.fixture(scope="module")
def maps_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Exported feature maps of a small untrained network."""
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d", (1, 1, 1, 1), 8)
    encoder = build_encoder(spec, VIEWS["rgb"]).eval()
    contract = ModelContract(
        *("random", "rgb", ClipSpec(1, 1), Geometry(32, 32), spec, encoder.embedding_dim, weights_sha256(encoder))
    )
    root = tmp_path_factory.mktemp("maps")
    source = ViewSource(encoder, contract, moving_squares(contract, 8))
    export_encoders([source], root, ExportOptions(formats=(), feature_maps=FeatureMapOptions(size_px=160)))
    return f"local:{root}"


def _texture(rng: np.random.Generator) -> Pixels:
    """Coloured blotches of about eight pixels: `uint8 [192, 192, 3]`."""
    blotches = rng.standard_normal((WIDTH, WIDTH, 3))
    for axis in (0, 1):
        for _ in range(3):
            blotches = sum(np.roll(blotches, shift, axis) for shift in range(-2, 3)) / 5
    return np.clip(128 + 45 * blotches / blotches.std(), 0, 255).astype(np.uint8)


def _boxes() -> Boxes:
    """Where the square is: 6 px to the right and 3 px down from frame to frame."""
    return np.array([[20.0 + 6 * frame, 20.0 + 3 * frame, 48, 48] for frame in range(NUM_FRAMES)])


def _pictures(num_seen: int = NUM_FRAMES) -> Iterator[tuple[float, Pixels]]:
    """A textured square on a textured ground, where it is in the first `num_seen` frames."""
    rng = np.random.default_rng(0)
    ground, target = _texture(rng), (0.5 * _texture(rng) + [110, 0, 0]).astype(np.uint8)
    for frame, (x, y, width, height) in enumerate(_boxes().astype(int)):
        pixels = ground[:HEIGHT].copy()
        if frame < num_seen:
            pixels[y : y + height, x : x + width] = target[:height, :width]
        yield frame / 10, pixels


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("square") / "square.mp4"
    write_mp4(path, _pictures())
    return path


def _found(rows: list[dict[str, float]]) -> Boxes:
    return np.array([[row[name] for name in _COORDINATES] for row in rows])


def test_the_box_follows_and_is_drawn_where_it_was_found(
    client: Client, square: Path, maps_url: str, tmp_path: Path
) -> None:
    ended = client("track", square, "--box", BOX, "--output", "out/tracked.mp4", "--url", maps_url, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    answer = json.loads(ended.stdout)
    rows, truth = answer["frames"], _boxes()
    assert (answer["model"], answer["version"], len(answer["fingerprint"])) == ("cocon_rgb_feature_map", "1", 64)
    assert [row["frame"] for row in rows] == list(range(NUM_FRAMES))
    np.testing.assert_allclose([row["seconds"] for row in rows], np.arange(NUM_FRAMES) / 10, atol=1e-4)
    assert not any(row["is_lost"] for row in rows)
    scores = one_pass_scores(_found(rows), truth)
    assert scores.success_auc > one_pass_scores(motionless(truth), truth).success_auc + 0.25
    assert scores.precision_at_20_px == 1

    drawn = list(read_frames(tmp_path / "out" / "tracked.mp4"))
    assert len(drawn) == NUM_FRAMES
    for (seconds, pixels), (_, filmed), row in zip(drawn, read_frames(square), rows, strict=True):
        assert seconds == pytest.approx(row["seconds"], abs=1e-3)
        changed = np.abs(pixels.astype(int) - filmed).max(axis=2) > 60
        edges = [np.flatnonzero(changed.sum(axis=axis) > 20) for axis in (0, 1)]
        spans = [(edge.min(), edge.max() + 1) for edge in edges]
        expected = [(row["x"], row["x"] + row["width"]), (row["y"], row["y"] + row["height"])]
        np.testing.assert_allclose(spans, expected, atol=4)  # half of a line and its dark edge
        outline = pixels[spans[1][0] : spans[1][1], round(row["x"])]
        assert np.abs(np.median(outline, axis=0) - LEFT_COLOUR).max() < 60


def test_tracking_begins_where_it_is_told_to(client: Client, square: Path, maps_url: str, tmp_path: Path) -> None:
    later = _boxes()[5]
    box = ",".join(map(str, later.astype(int)))
    ended = client(
        *("track", square, "--box", box, "--start-seconds", "0.5", "--output", "later.mp4", "--url", maps_url, "--json")
    )
    rows = json.loads(ended.stdout)["frames"]
    assert len(rows) == NUM_FRAMES - 5
    assert rows[0]["seconds"] == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_array_equal(_found(rows)[0], later)
    times = [seconds for seconds, _ in read_frames(tmp_path / "later.mp4")]
    np.testing.assert_allclose(times, np.arange(NUM_FRAMES - 5) / 10, atol=1e-3)


def test_a_target_that_leaves_is_lost_and_its_last_box_is_kept(
    client: Client, square: Path, maps_url: str, tmp_path: Path
) -> None:
    write_mp4(tmp_path / "gone.mp4", _pictures(num_seen=4))
    ended = client("track", "gone.mp4", "--box", BOX, "--output", "lost.mp4", "--url", maps_url, "--json")
    rows = json.loads(ended.stdout)["frames"]
    assert [row["is_lost"] for row in rows] == [False] * 4 + [True] * (NUM_FRAMES - 4)
    boxes = _found(rows)
    assert all((after == before).all() for before, after in pairwise(boxes[3:]))
    table = client("track", "gone.mp4", "--box", BOX, "--output", "lost.mp4", "--url", maps_url).stdout
    assert f"lost.mp4: {NUM_FRAMES} frames, lost in {NUM_FRAMES - 4}" in table


def test_a_lost_box_is_dashed_and_of_another_colour() -> None:
    pixels, box = np.full((100, 120, 3), 90, np.uint8), np.array([30.0, 40, 50, 40])
    found, lost = (draw_box(pixels, box, is_lost=is_lost) for is_lost in (False, True))
    assert (pixels == 90).all()
    assert (found[40:80, 30] == LEFT_COLOUR).all()
    is_orange = (lost[40:80, 30] == RIGHT_COLOUR).all(axis=1)
    assert 0.3 < is_orange.mean() < 0.8
    assert (lost[:35] != 90).any()  # the word
    assert (found[:35] == 90).all()


def test_odd_sides_and_a_box_that_sticks_out_are_no_obstacle(tmp_path: Path) -> None:
    pixels, box = np.full((75, 81, 3), 90, np.uint8), np.array([-10.0, 60, 50, 40])
    write_film(tmp_path / "odd.mp4", (TrackedFrame(n / 25, pixels, TrackedBox(box, 1.0, False)) for n in range(3)))
    assert [frame.shape for _, frame in read_frames(tmp_path / "odd.mp4")] == [(76, 82, 3)] * 3


def test_a_small_target_is_said_to_be_one(client: Client, square: Path, maps_url: str) -> None:
    ended = client("track", square, "--box", "20,20,12,30", "--output", "out.mp4", "--url", maps_url)
    assert ended.returncode == 0
    assert "note: the box is 1.2 × 4.7 cells of the model; less than 2 are hardly followed" in ended.stderr


@pytest.mark.parametrize("box", ["189,40,3,60", "60,125,90,3"])
def test_a_box_at_the_border_is_followed_inside_the_picture(
    client: Client, square: Path, maps_url: str, box: str
) -> None:
    ended = client("track", square, "--box", box, "--output", "out.mp4", "--url", maps_url, "--json")
    assert ended.returncode == 0
    found = _found(json.loads(ended.stdout)["frames"])
    assert found[0].tolist() == [float(number) for number in box.split(",")]
    assert (found[:, :2] >= 0).all()
    assert (found[:, :2] + found[:, 2:] <= [WIDTH + 0.01, HEIGHT + 0.01]).all()  # rounded to 0.01


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--box", "1,2,3"], 2, "--box '1,2,3' must be X,Y,WIDTH,HEIGHT"),
        (["--box", "1,2,3,nan"], 2, "--box '1,2,3,nan' must be X,Y,WIDTH,HEIGHT"),
        (["--box", "1,2,0,4"], 2, "the last two above 0"),
        (["--box", "192,20,9,9"], 2, "box [192.0, 20.0, 9.0, 9.0] lies outside the picture of 192 × 128"),
        (["--start-seconds", "9"], 2, "start (9 s) is behind the end of video"),
        (["--output", "out.avi"], 2, "--output 'out.avi' must end in .mp4"),
        (["--limit", "max_frames=3"], 3, "the limit max_frames is 3"),
    ],
)
def test_what_cannot_be_tracked_is_said_in_one_line_and_leaves_no_file(
    client: Client, square: Path, maps_url: str, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    given = {"--box": BOX, "--output": "out.mp4"} | dict(zip(arguments[::2], arguments[1::2], strict=True))
    ended = client("track", square, "--url", maps_url, *(word for pair in given.items() for word in pair))
    assert (ended.returncode, ended.stdout) == (code, "")
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_repository_without_feature_maps_says_how_to_make_them(client: Client, square: Path, url: str) -> None:
    ended = client("track", square, "--box", BOX, "--output", "out.mp4")
    assert ended.returncode == 2
    assert f"model repository '{url.removeprefix('local:')}' has no model 'cocon_rgb_feature_map'" in ended.stderr
    assert "cocon export --feature-maps" in ended.stderr


def test_a_file_that_is_no_video_is_one_that_failed(client: Client, maps_url: str, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    ended = client("track", "text.mp4", "--box", BOX, "--output", "out.mp4", "--url", maps_url)
    assert ended.returncode == 3
    assert "video 'text.mp4' cannot be decoded" in ended.stderr
    assert not (tmp_path / "out.mp4").exists()
