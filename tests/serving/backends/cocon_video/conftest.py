"""A real server with the model that takes videos, and some videos."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format

from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.embedding.repository import CONFIG_FILE, LABELS_FILE
from cocon.embedding.videos.call_record import VIDEO_FILE, VIDEO_MODEL
from cocon.export.models.video import call_record, video_config, video_limits, write_video
from cocon.export.repository.deployment import Deployment
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import contract, make_repository
from tests.client.conftest import write_video as write_film
from tests.client.models.conftest import write_config

VIEWS = ("flow", "rgb")
QUEUE_SIZE = 2


def make_video_repository(root: Path, *contracts: ModelContract) -> Path:
    """A repository of encoders, and of the model that takes videos."""
    make_repository(root, *contracts)
    for each in contracts:
        write_config(root / ENCODER.name(each.view), each, "onnxruntime")
    views = [each.view for each in contracts]
    record = call_record(contracts, {ENCODER.name(view): 1 for view in views}, dict.fromkeys(views, 1.0))
    record = replace(record, max_batch_size=4)
    (root / VIDEO_MODEL / "1").mkdir(parents=True)
    write_video(record, root / VIDEO_MODEL / "1" / VIDEO_FILE)
    config = video_config(record, Deployment(), video_limits(["max_bytes=4194304"]))
    assert config.dynamic_batching.default_queue_policy.max_queue_size == 8
    config.dynamic_batching.default_queue_policy.max_queue_size = QUEUE_SIZE
    (root / VIDEO_MODEL / CONFIG_FILE).write_text(text_format.MessageToString(config))
    (root / VIDEO_MODEL / LABELS_FILE).write_text("".join(f"{label}\n" for label in record.fusion.labels))
    return root


@contextmanager
def serving(repository: Path, folders: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of a repository."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "TMPDIR"):
            patch.setenv(name, str(folders.mktemp(name.lower())))
        log = folders.mktemp("log") / "triton.log"
        with ServerProcess(
            repository, Address.on_free_ports(http=True), log=log, timeout_s=600, scrutiny="none"
        ) as process:
            yield process


@pytest.fixture(scope="session")
def video_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served") / "model_repository"
    return make_video_repository(root, contract("flow", weights="2"), contract("rgb"))


@pytest.fixture(scope="session")
def video_server(video_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(video_repository, tmp_path_factory) as process:
        yield process


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("films")
    films = {f"a{number}": write_film(root / f"a{number}.mp4", seed=number) for number in range(2)}
    films["long"] = write_film(root / "long.mp4", seed=2, num_frames=2500)
    whole = films["a0"].read_bytes()
    for name, content in {"empty": b"", "text": b"no video", "cut": whole[: len(whole) // 2]}.items():
        films[name] = root / f"{name} \x1b[31m.mp4"
        films[name].write_bytes(content)
    return films
