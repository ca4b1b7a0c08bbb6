"""The whole path as a user walks it: data, training, judging, export, a real Triton, embedding and search."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cocon.serving.address import Address

pytestmark = pytest.mark.triton

BIN = Path(sys.executable).parent
CONFIG = """
views = ["rgb", "flow", "pose", "mask"]
[flow]
size_px = 64
[clip]
num_blocks = 3
frames_per_block = 3
step_seconds = 0.1
[model]
depth = "resnet10"
width = 8
num_predicted = 1
[training]
epochs = 2
batch_size = 6
[classifier]
epochs = 2
""" + "".join(f"[view.{view}]\nresize_px = 36\ncrop_px = 32\n" for view in ("rgb", "flow", "pose", "mask"))

Completed = subprocess.CompletedProcess[str]


@dataclass
class Walk:
    """A folder of its own, and commands run in it."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *command: object, code: int = 0) -> Completed:
        words = [str(BIN / str(command[0])), *map(str, command[1:])]
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, text=True, capture_output=True, timeout=240, check=False
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *command: object) -> list[dict[str, object]]:
        found = json.loads(self(*command, "--json").stdout)
        assert isinstance(found, list)
        return found


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    environment = dict(os.environ) | {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    environment.pop("COCON_URL", None)
    environment.pop("COCON_INDEX", None)
    walk = Walk(folder, environment)
    (folder / "tiny.toml").write_text(CONFIG)
    walk("cocon", "data", "make", "--num-videos", 24, "--seconds", 1.5, "--size", 64, "--output", "data/figures")
    walk("cocon", "train", "--config", "tiny.toml", "--output", "runs/one")
    walk("cocon", "export", "--run", "runs/one")
    return walk


@pytest.fixture(scope="module")
def url(walk: Walk) -> Iterator[str]:
    """A real Triton, started and stopped by the command line."""
    address = Address.on_free_ports()
    ports = ["--grpc-port", address.grpc_port, "--http-port", address.http_port, "--metrics-port", address.metrics_port]
    served = walk("cocon", "serve", "--detach", *ports)
    for model in ("cocon ", "cocon_fuse", "cocon_rgb", "cocon_rgb_torchscript", "cocon_mask_torchscript"):
        assert model in served.stdout
    yield f"127.0.0.1:{address.grpc_port}"
    walk("cocon", "serve", "--stop", "--grpc-port", address.grpc_port)


def videos(walk: Walk, split: str) -> list[str]:
    with (walk.folder / "data/figures/manifest.csv").open() as stream:
        return [f"data/figures/{row['path']}" for row in csv.DictReader(stream) if row["split"] == split]


def vectors(rows: list[dict[str, object]]) -> np.ndarray:
    return np.array([row["embedding"] for row in rows], np.float32)


def test_a_run_is_judged_beside_its_random_initialisation(walk: Walk) -> None:
    merits = walk.json("cocon", "evaluate", "runs/one")
    assert {merit["method"] for merit in merits} == {"random", "cocon"}
    assert {merit["view"] for merit in merits} == {"rgb", "flow", "pose", "mask", "ensemble", "ensemble_learned"}
    assert all(0 <= float(str(merit["probe_top1"])) <= 100 for merit in merits)


@pytest.mark.parametrize("view", ["rgb", "all"])
def test_triton_embeds_as_onnx_runtime_does_in_process(walk: Walk, url: str, view: str) -> None:
    query = videos(walk, "test")[:3]
    served = walk.json("client", "embed", "--url", url, "--view", view, *query)
    local = walk.json("client", "embed", "--url", "local:model_repository", "--view", view, *query)
    assert [row["video"] for row in served] == [row["video"] for row in local]
    ours, theirs = vectors(served), vectors(local)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-4)
    assert (ours * theirs).sum(axis=1).min() >= 0.9999


def test_torchscript_embeds_as_onnx_does(walk: Walk, url: str) -> None:
    query = videos(walk, "test")[:2]
    onnx = vectors(walk.json("client", "embed", "--url", url, *query))
    script = vectors(walk.json("client", "embed", "--url", url, "--model-format", "torchscript", *query))
    assert (onnx * script).sum(axis=1).min() >= 0.9999


def test_every_video_is_classified_with_known_labels(walk: Walk, url: str) -> None:
    rows = walk.json("client", "classify", "--url", url, "--view", "all", *videos(walk, "test")[:2])
    with (walk.folder / "data/figures/manifest.csv").open() as stream:
        labels = {row["label"] for row in csv.DictReader(stream)}
    assert rows and {row["label"] for row in rows} <= labels


@pytest.mark.parametrize("view", ["rgb", "all"])
def test_an_indexed_video_finds_itself_first(walk: Walk, url: str, view: str) -> None:
    index = f"index_{view}"
    walk("client", "index", "add", "--url", url, "--view", view, "--index", index, *videos(walk, "train"))
    query = videos(walk, "train")[4]
    hits = walk.json("client", "search", query, "--url", url, "--index", index, "--top", 3)
    assert len(hits) == 3
    assert str(hits[0]["video"]).endswith(query)
    assert float(str(hits[0]["score"])) >= 0.999
    again = walk("client", "index", "add", "--url", url, "--view", view, "--index", index, *videos(walk, "train"))
    assert "0 added" in again.stdout


def test_an_index_refuses_the_next_trainings_model(walk: Walk) -> None:
    place = ["--url", "local:model_repository", "--index", "index_refusing"]
    walk("client", "index", "add", *place, videos(walk, "train")[0])
    walk("cocon", "train", "--config", "tiny.toml", "--output", "runs/two", "--seed", 1, "--set", 'views=["rgb"]')
    walk("cocon", "export", "--run", "runs/two", "--repository", "other_repository", "--no-torchscript")
    refused = walk(
        "client", "search", videos(walk, "train")[0], "--url", "local:other_repository", "--index", "index_refusing",
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
    failed = walk("client", "embed", "--url", f"127.0.0.1:{port}", videos(walk, "test")[0], code=4)
    assert f"127.0.0.1:{port}" in failed.stderr and "cocon serve" in failed.stderr
