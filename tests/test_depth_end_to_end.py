"""A view that no estimator makes, from files of the user's own to a fused search on a real Triton."""

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cocon.video.decoding.frames import read_frames
from cocon.video.store.files import read_view
from tests.walking import Walk, tiny_settings, walk_in

pytestmark = pytest.mark.triton

NEAR, FAR = 800, 4000
MAKE = ("cocon", "views", "make", "data/figures", "--view", "depth", "--depth", "own_depth")


def _write_depth(root: Path, video_id: str, video: Path) -> None:
    """PNG files of 16 bits, in millimetres: what is darker is farther away, from 800 to 4000."""
    (root / video_id).mkdir(parents=True)
    for number, (_, pixels) in enumerate(read_frames(video), start=1):
        millimetres = NEAR + (255 - pixels.mean(axis=2)) / 255 * (FAR - NEAR)
        cv2.imwrite(str(root / video_id / f"{number:05d}.png"), np.rint(millimetres).astype(np.uint16))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Figures with depth of the user's own, encoders of rgb and depth, and their export."""
    walk = walk_in(tmp_path_factory.mktemp("walk"))
    (walk.folder / "tiny.toml").write_text(tiny_settings("rgb", "depth"))
    walk("cocon", "data", "make", "--num-videos", 12, "--seconds", 1.2, "--size", 64, "--output", "data/figures")
    with (walk.folder / "data/figures/manifest.csv").open() as stream:
        for row in csv.DictReader(stream):
            _write_depth(walk.folder / "own_depth", row["video_id"], walk.folder / "data/figures" / row["path"])
    walk(*MAKE, "--depth-range", NEAR, FAR)
    walk("cocon", "train", "--config", "tiny.toml", "--output", "runs/depth")
    walk("cocon", "export", "--run", "runs/depth", "--no-torchscript")
    return walk


@pytest.fixture(scope="module")
def url(walk: Walk) -> Iterator[str]:
    """A real Triton with both encoders and their fusion."""
    with walk.serving("cocon ", "cocon_fuse", "cocon_rgb", "cocon_depth") as url:
        yield url


def test_depth_is_stored_by_its_range_which_is_part_of_the_recipe(walk: Walk) -> None:
    root = walk.folder / "data/figures"
    stored = read_view(root, "depth", "figure_00000")
    assert (stored.attributes["depth_near"], stored.attributes["depth_far"]) == (NEAR, FAR)
    first = next(iter(read_frames(root / "videos/figure_00000.mp4")))[1]
    assert stored.pixels is not None
    assert np.abs(stored.pixels[0, ..., 0] - (255 - first.mean(axis=2))).max() <= 1
    assert "0 made, 12 were there" in walk(*MAKE, "--depth-range", NEAR, FAR).stdout
    failed = walk(*MAKE, code=3)
    assert failed.stderr.count("more than a byte; say which values 0 and 255 stand for: --depth-range NEAR FAR") == 12


def test_a_preview_has_a_fifth_panel(walk: Walk) -> None:
    video = "data/figures/videos/figure_00000.mp4"
    walk("cocon", "views", "preview", video, "--output", "five.png", "--rows", 1, "--quiet")
    store, aside = walk.folder / "data/figures/views/depth", walk.folder / "depth_aside"
    store.rename(aside)
    walk("cocon", "views", "preview", video, "--output", "four.png", "--rows", 1, "--quiet")
    aside.rename(store)
    five, four = (cv2.imread(str(walk.folder / name)) for name in ("five.png", "four.png"))
    assert five is not None and four is not None
    assert (five.shape[0], five.shape[1] / four.shape[1]) == (four.shape[0], pytest.approx(5 / 4, abs=0.02))


def test_an_indexed_video_is_found_by_both_views_together(walk: Walk, url: str) -> None:
    place = ["--url", url, "--index", "index"]
    walk("client", "index", "add", *place, "--view", "all", *walk.videos("train"))
    query = walk.videos("train")[2]
    hits = walk.json("client", "search", query, *place, "--top", 3)
    assert len(hits) == 3
    assert str(hits[0]["video"]).endswith(query)
    assert float(str(hits[0]["score"])) >= 0.999
    (row, *_) = walk.json("client", "embed", "--url", url, "--view", "all", query)
    assert row["view"] == "depth+rgb"


def test_triton_embeds_depth_as_onnx_runtime_does_in_process(walk: Walk, url: str) -> None:
    query = walk.videos("test")[:2]
    served, local = (
        np.array([row["embedding"] for row in walk.json("client", "embed", "--url", at, "--view", "depth", *query)])
        for at in (url, "local:model_repository")
    )
    assert (served * local).sum(axis=1).min() >= 0.9999


def test_a_query_without_depth_is_reported_with_the_remedy(walk: Walk, url: str) -> None:
    (walk.folder / "elsewhere").mkdir()
    query = walk.folder / "elsewhere/query.mp4"
    query.write_bytes((walk.folder / walk.videos("test")[0]).read_bytes())
    failed = walk("client", "embed", "--url", url, "--view", "depth", "elsewhere/query.mp4", code=3)
    assert "view 'depth' of video 'query.mp4' is not stored" in failed.stderr
    assert "bring your own: cocon views make" in failed.stderr and "--depth FOLDER" in failed.stderr


def test_training_on_depth_that_is_not_stored_says_how_to_store_it(walk: Walk) -> None:
    walk("cocon", "data", "make", "--num-videos", 4, "--seconds", 1.2, "--size", 64, "--output", "bare")
    failed = walk("cocon", "train", "--config", "tiny.toml", "--data", "bare", "--output", "runs/bare", code=3)
    assert "cocon views make bare --depth FOLDER --view depth" in failed.stderr
