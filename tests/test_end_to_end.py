"""The whole path as a user walks it: data, training, judging, export, a real Triton, embedding and search."""

import csv
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from cocon.client import VideoEmbedder, VideoIndex
from cocon.client.index.query.queries import Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.serving.address import Address
from cocon.video.store.dataset import DatasetFolder
from tests.walking import Walk, tiny_settings, walk_in

pytestmark = pytest.mark.triton

CONFIG = tiny_settings("rgb", "flow", "pose", "mask") + "[flow]\nsize_px = 64\n[classifier]\nepochs = 2\n"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    walk = walk_in(tmp_path_factory.mktemp("walk"))
    (walk.folder / "tiny.toml").write_text(CONFIG)
    walk("cocon", "data", "make", "--num-videos", 24, "--seconds", 1.5, "--size", 64, "--output", "data/figures")
    walk("cocon", "train", "--config", "tiny.toml", "--output", "runs/one")
    walk("cocon", "export", "--run", "runs/one")
    return walk


@pytest.fixture(scope="module")
def url(walk: Walk) -> Iterator[str]:
    """A real Triton with every model."""
    with walk.serving("cocon ", "cocon_fuse", "cocon_rgb", "cocon_rgb_torchscript", "cocon_mask_torchscript") as url:
        yield url


def vectors(rows: list[dict[str, object]]) -> np.ndarray:
    return np.array([row["embedding"] for row in rows], np.float32)


def test_a_run_is_judged_beside_its_random_initialisation(walk: Walk) -> None:
    rows = walk.json("cocon", "evaluate", "runs/one", "--confusion", "confusion.csv")
    assert {row["method"] for row in rows} == {"random", "cocon"}
    assert {row["view"] for row in rows} == {"rgb", "flow", "pose", "mask", "ensemble", "ensemble_learned"}
    with (walk.folder / "confusion.csv").open(newline="") as stream:
        counts = list(csv.DictReader(stream))
    for row, by in ((row, by) for row in rows for by in ("probe", "classifier") if f"{by}_top1" in row):
        of_row = [line for line in counts if (line["method"], line["view"], line["by"]) == (*_of(row), by)]
        num_right = sum(int(line[line["class"]]) for line in of_row)
        num_videos = sum(int(line[label]) for line in of_row for label in (other["class"] for other in of_row))
        assert row[f"{by}_top1"] == pytest.approx(100 * num_right / num_videos)


def _of(row: dict[str, object]) -> tuple[object, object]:
    return row["method"], row["view"]


@pytest.mark.parametrize("view", ["rgb", "all"])
def test_triton_embeds_as_onnx_runtime_does_in_process(walk: Walk, url: str, view: str) -> None:
    query = walk.videos("test")[:3]
    served = walk.json("client", "embed", "--url", url, "--view", view, *query)
    local = walk.json("client", "embed", "--url", "local:model_repository", "--view", view, *query)
    assert [row["video"] for row in served] == [row["video"] for row in local]
    ours, theirs = vectors(served), vectors(local)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-4)
    assert (ours * theirs).sum(axis=1).min() >= 0.9999


def test_torchscript_embeds_as_onnx_does(walk: Walk, url: str) -> None:
    query = walk.videos("test")[:2]
    onnx = vectors(walk.json("client", "embed", "--url", url, *query))
    script = vectors(walk.json("client", "embed", "--url", url, "--model-format", "torchscript", *query))
    assert (onnx * script).sum(axis=1).min() >= 0.9999


def test_every_video_is_classified_with_known_labels(walk: Walk, url: str) -> None:
    rows = walk.json("client", "classify", "--url", url, "--view", "all", *walk.videos("test")[:2])
    with (walk.folder / "data/figures/manifest.csv").open() as stream:
        labels = {row["label"] for row in csv.DictReader(stream)}
    assert rows and {row["label"] for row in rows} <= labels


@pytest.mark.parametrize("view", ["rgb", "all"])
def test_an_indexed_video_finds_itself_first(walk: Walk, url: str, view: str) -> None:
    index = f"index_{view}"
    walk("client", "index", "add", "--url", url, "--view", view, "--index", index, *walk.videos("train"))
    query = walk.videos("train")[4]
    hits = walk.json("client", "search", query, "--url", url, "--index", index, "--top", 3)
    assert len(hits) == 3
    assert str(hits[0]["video"]).endswith(query)
    assert float(str(hits[0]["score"])) >= 0.999
    again = walk("client", "index", "add", "--url", url, "--view", view, "--index", index, *walk.videos("train"))
    assert "0 added" in again.stdout


def test_the_best_hits_are_right_as_often_as_an_evaluation_says(walk: Walk) -> None:
    """By the mean and by the best moment, for which both begin a clip every block of three; and as a search does it."""
    judged = walk.json("cocon", "evaluate", "runs/one", "--no-random")
    labels = {str(entry.path): entry.label for entry in DatasetFolder.open(walk.folder / "data/figures").videos}
    train, test = ([str(walk.folder / video) for video in walk.videos(split)] for split in ("train", "test"))
    figures = {
        "best_moment_R@1": (2 / 3, SearchOptions(top=1, rank="cosine")),
        "R@1": (2 / 3, SearchOptions(top=1, match="mean", rank="cosine")),
        "search_R@1": (0.0, SearchOptions(top=1)),
    }
    for view, name in (("rgb", "rgb"), ("all", "ensemble")):
        (row,) = (row for row in judged if row["view"] == name)
        for figure, (overlap, options) in figures.items():
            index = VideoIndex(walk.folder / f"index_judged_{view}_{overlap > 0}")
            repository = f"local:{walk.folder / 'model_repository'}"
            with VideoEmbedder(repository, views=(view,), overlap=overlap) as embedder:
                index.add(train, embedder)
                queries = [embedder.embed(video) for video in test]
            hits = index.search_many([Query.of(query) for query in queries], options)
            right = [hit.label == labels[query.video] for query, (hit,) in zip(queries, hits, strict=True)]
            assert 100 * sum(right) / 12 == pytest.approx(row[figure])


@pytest.mark.slow  # tests/client/index/test_folder.py has an index refuse vectors of another model
def test_an_index_refuses_the_next_trainings_model(walk: Walk) -> None:
    place = ["--url", "local:model_repository", "--index", "index_refusing"]
    walk("client", "index", "add", *place, walk.videos("train")[0])
    walk("cocon", "train", "--config", "tiny.toml", "--output", "runs/two", "--seed", 1, "--set", 'views=["rgb"]')
    walk("cocon", "export", "--run", "runs/two", "--repository", "other_repository", "--no-torchscript")
    # Another video: what the index holds of the first one needs no model.
    refused = walk(
        "client", "search", walk.videos("train")[1], "--url", "local:other_repository", "--index", "index_refusing",
        code=5,
    )  # fmt: skip
    assert "index" in refused.stderr and len(refused.stderr.strip().splitlines()) == 1


def test_the_second_walk_has_nothing_to_do(walk: Walk, record: Callable[[], dict[str, int]]) -> None:
    before = record()
    walk("cocon", "data", "make", "--num-videos", 24, "--seconds", 1.5, "--size", 64, "--output", "data/figures")
    walk("cocon", "train", "--config", "tiny.toml", "--output", "runs/one")
    walk("cocon", "export", "--run", "runs/one")
    assert record() == before


@pytest.fixture
def record(walk: Walk) -> Callable[[], dict[str, int]]:
    """When each of the walk's results was last written."""

    def times() -> dict[str, int]:
        roots = [walk.folder / name for name in ("data", "runs/one", "model_repository")]
        return {str(p): p.stat().st_mtime_ns for root in roots for p in root.rglob("*") if p.is_file()}

    return times


def test_a_server_that_is_down_is_named_with_its_remedy(walk: Walk) -> None:
    port = Address.on_free_ports().grpc_port
    failed = walk("client", "embed", "--url", f"127.0.0.1:{port}", walk.videos("test")[0], code=4)
    assert f"127.0.0.1:{port}" in failed.stderr and "cocon serve" in failed.stderr
