"""A tiny real model repository and real videos; everything here runs, nothing is imitated."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cocon.client import VideoEmbedder
from cocon.client.commands.main import main
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.videos.clip_vectors import part_bounds
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.store.files import view_path

LABELS = ("still", "left", "right", "up", "down", "round")
SIDE_PX, GRID, DIM = 16, 4, 8
CLIP = ClipSpec(num_blocks=2, frames_per_block=2, step_seconds=0.1)


def copy_with_unfit_view(video: Path, folder: Path, view: str) -> Path:
    """A copy of a video, in a folder whose store has a damaged file in the place of a view of it."""
    copy = shutil.copy(video, folder / video.name)
    damaged = view_path(folder, view, video.name)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no archive")
    return Path(copy)


def contract(
    view: str, *, weights: str = "1", labels: tuple[str, ...] = LABELS, pooling: str = "mean"
) -> ModelContract:
    return ModelContract(
        method="cocon",
        view=view,
        clip=CLIP,
        geometry=Geometry(resize_px=SIDE_PX, crop_px=SIDE_PX),
        encoder=EncoderSpec("test", (1, 1, 1, 1), 4, "mean" if labels else "none", pooling),
        embedding_dim=DIM,
        weights_sha256=hashlib.sha256(weights.encode()).hexdigest(),
        labels=labels,
        flow=FlowSpec() if view == "flow" else None,
    )


def write_model(folder: Path, model: ModelContract) -> None:
    """A linear encoder of coarse colours, of what the contract names; a `gru` weighs the blocks of a clip by place.

    One that pools by thirds has no classifier.
    """
    folder.mkdir(parents=True)
    (folder / "contract.json").write_text(model.to_json())
    blocks, frames, height, width, channels = model.clip_shape
    cell = SIDE_PX // GRID
    features = GRID * GRID * channels
    rng = np.random.default_rng(int(model.weights_sha256[:8], 16))
    constants = {
        "cells": np.array([-1, blocks, frames, GRID, cell, GRID, cell, channels], np.int64),
        "flat": np.array([-1, blocks, features], np.int64),
        "cell_axes": np.array([2, 4, 6], np.int64),
        "block_axis": np.array([1], np.int64),
        "middle": np.array(100.0, np.float32),
        "places": np.arange(blocks, dtype=np.float32)[:, None] / max(1, blocks - 1),
        "weight": rng.normal(size=(features, DIM)).astype(np.float32),
        "parts": np.stack([_shares(blocks, part) for part in part_bounds(blocks, model.encoder.num_parts)]),
        "vector": np.array([-1, model.vector_dim], np.int64),
        "head": rng.normal(size=(DIM, max(1, len(model.labels)))).astype(np.float32),
    }
    assert height == width == SIDE_PX
    nodes = [
        helper.make_node("Cast", ["clip"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels", "middle"], ["centred"]),
        helper.make_node("Reshape", ["centred", "cells"], ["split"]),
        helper.make_node("ReduceMean", ["split", "cell_axes"], ["means"], keepdims=0),
        helper.make_node("Reshape", ["means", "flat"], ["features"]),
        helper.make_node("MatMul", ["features", "weight"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["blocks"], axis=-1, p=2),
        helper.make_node("ReduceMean", ["blocks", "block_axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["parts", "blocks"], ["part_means"]),
        helper.make_node("LpNormalization", ["part_means"], ["unit_parts"], axis=-1, p=2),
        helper.make_node("Reshape", ["unit_parts", "vector"], ["side_by_side"]),
        helper.make_node("LpNormalization", ["side_by_side"], ["embedding"], axis=-1, p=2),
    ]
    assert model.encoder.num_parts == 1 or not model.labels
    if model.labels and model.encoder.classifier == "mean":
        nodes.append(helper.make_node("MatMul", ["mean", "head"], ["logits"]))
        nodes.append(helper.make_node("MatMul", ["blocks", "head"], ["block_logits"]))
    elif model.labels:
        nodes.append(helper.make_node("Mul", ["blocks", "places"], ["placed"]))
        nodes.append(helper.make_node("ReduceMean", ["placed", "block_axis"], ["state"], keepdims=0))
        nodes.append(helper.make_node("MatMul", ["state", "head"], ["logits"]))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape])
        for name, shape in model.output_shapes.items()
    ]
    graph = helper.make_graph(
        nodes,
        f"cocon_{model.view}",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, ["B", *model.clip_shape])],
        outputs,
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "model.onnx"
    )


def _shares(num_blocks: int, bounds: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """How much each block counts in the mean of a part."""
    begin, end = bounds
    shares = np.zeros(num_blocks, np.float32)
    shares[begin:end] = 1 / (end - begin)
    return shares


def make_repository(root: Path, *contracts: ModelContract) -> Path:
    for model in contracts:
        write_model(root / f"cocon_{model.view}" / "1", model)
    return root


def write_video(path: Path, *, seed: int, num_frames: int = 20, fps: int = 10) -> Path:
    """A square of one colour crossing a background of another, lossless enough to be told apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    background, colour = rng.integers(0, 255, 3), rng.integers(0, 255, 3)
    begin, end = rng.uniform(0, 32, 2), rng.uniform(0, 32, 2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(num_frames):
            pixels = np.empty((48, 64, 3), np.uint8)
            pixels[:] = background
            left, top = (begin + (end - begin) * index / num_frames).astype(int)
            pixels[top : top + 16, left : left + 24] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return make_repository(root, contract("rgb"), contract("flow", weights="2"))


@pytest.fixture(scope="session")
def url(repository: Path) -> str:
    return f"local:{repository}"


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Six videos of 2 s: five clips each."""
    root = tmp_path_factory.mktemp("videos")
    return [write_video(root / f"v{number}.mp4", seed=number) for number in range(6)]


@pytest.fixture
def embedder(url: str) -> Iterator[VideoEmbedder]:
    with VideoEmbedder(url) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Client = Callable[..., Finished]


@pytest.fixture
def client(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Client:
    """Run the command in this process, in an empty working directory, with the local models."""

    def run(*arguments: object, stdin: str = "") -> Finished:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COCON_URL", url)
        monkeypatch.setattr(sys, "argv", ["client", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Finished(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def process(tmp_path: Path, url: str) -> Client:
    """The same in a process of its own."""

    def run(*arguments: object) -> Finished:
        command = [sys.executable, "-m", "cocon.client", *map(str, arguments)]
        environment = os.environ | {"COCON_URL": url}
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
        )
        return Finished(ended.returncode, ended.stdout, ended.stderr)

    return run
