"""A client keeps the version that it began with, or follows at the next video, while an operator changes versions."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder
from cocon.client.models.server import TritonServer
from cocon.client.models.versions.offered import VersionGoneError
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import MismatchError
from cocon.embedding.embedder import ENCODER
from cocon.embedding.videos.fused_model import open_fused
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.serving.operator_client import OperatorClient
from cocon.serving.rollout.plan import models_of, promotion, return_to_previous
from cocon.serving.rollout.rolling import models_on, roll_out
from tests.serving.rollout.conftest import VIEWS, add_versions, encoder

pytestmark = pytest.mark.triton


@pytest.fixture
def rolling(tmp_path: Path) -> Iterator[ServerProcess]:
    """The first version of everything is served, and the second lies there."""
    repository = tmp_path / "models"
    add_versions(repository, 1)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path / name))
        with ServerProcess(repository, Address.on_free_ports(), log=tmp_path / "triton.log", timeout_s=600) as server:
            add_versions(repository, 2)
            yield server


def promote(server: ServerProcess, *, back: bool = False, drain_s: float = 0.0) -> None:
    with OperatorClient(server.address) as operator:
        models = models_on(operator, models_of(server.repository))
        plan = return_to_previous(models, ["all"]) if back else promotion(models, ["all"])
        roll_out(operator, lambda: plan, drain_s=drain_s)


def fingerprint(view: str, version: int) -> str:
    return encoder(view, version).fingerprint


def test_who_opens_a_model_takes_the_current_version_forward_and_back(rolling: ServerProcess) -> None:
    with TritonServer(rolling.url) as host:
        assert host.open(ENCODER, "rgb").version == "1"
        assert not host.look_again()
        promote(rolling)
        assert host.look_again()
        assert host.open(ENCODER, "rgb").contract.fingerprint == fingerprint("rgb", 2)
        back = threading.Thread(target=promote, args=(rolling,), kwargs={"back": True, "drain_s": 6.0})
        back.start()
        while not host.look_again():  # both versions are there meanwhile, and the lower one is meant
            pass
        model = host.open(ENCODER, "rgb")
        assert (model.version, model.contract.fingerprint) == ("1", fingerprint("rgb", 1))
        back.join()


def test_a_model_of_all_views_keeps_its_versions_while_the_ensemble_changes(rolling: ServerProcess) -> None:
    rng = np.random.default_rng(0)
    run = {view: rng.integers(0, 255, (2, *encoder(view, 1).clip_shape[1:]), np.uint8) for view in VIEWS}
    with closing(TritonServer(rolling.url)) as host:
        model = open_fused(host, ["all"])
        assert model.joint is not None
        (before,) = model.embed([run])
        waiting = threading.Thread(target=promote, args=(rolling,), kwargs={"drain_s": 5.0})
        waiting.start()
        while waiting.is_alive():
            (now,) = model.embed([run])
            for view in VIEWS:
                np.testing.assert_allclose(now[view].vectors, before[view].vectors, atol=1e-5)
            host.confirm()
            if getattr(model.joint, "is_gone", False):
                break
        assert getattr(model.joint, "is_gone", False)  # and each view is asked by itself
        waiting.join()
        with pytest.raises(VersionGoneError, match=r"version 1 on .* is gone, version 2 is in its place"):
            model.embed([run])
        host.look_again()
        model = open_fused(host, ["all"])
        assert (model.version, model.fingerprint != before) == ("2+2", True)
        (after,) = model.embed([run])
        assert not np.allclose(after["rgb"].vectors, before["rgb"].vectors)


@pytest.mark.videos
def test_a_job_follows_at_the_next_video_or_stays_and_no_video_is_mixed(
    rolling: ServerProcess, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cocon.client.pipeline.lanes._LOOK_S", 0.0)
    expected = {}
    for version in (1, 2):
        with VideoEmbedder(f"local:{_alone(rolling.repository, version)}", views=["rgb"]) as local:
            expected[str(version)] = local.embed(videos[0]).embedding

    promoting = threading.Thread(target=promote, args=(rolling,), kwargs={"drain_s": 60.0})

    def paths() -> Iterator[Path]:
        promoting.start()
        while promoting.is_alive():
            yield videos[0]

    with VideoEmbedder(rolling.url, views=["rgb"], follows_versions=True) as following:
        found = list(following.embed_many(paths()))
    promoting.join()
    assert {video.version for video in found if isinstance(video, VideoEmbedding)} == {"1", "2"}
    for video in found:
        assert isinstance(video, VideoEmbedding)
        assert video.fingerprint == fingerprint("rgb", int(video.version))
        np.testing.assert_allclose(video.embedding, expected[video.version], atol=1e-4)

    with VideoEmbedder(rolling.url, views=["rgb"]) as staying:
        assert staying.embed(videos[0]).version == "2"
        promote(rolling, back=True)  # without time for those who began with it
        with pytest.raises(MismatchError, match="is gone, version 1 is in its place"):
            staying.embed(videos[0])


def _alone(repository: Path, version: int) -> Path:
    """A repository of one version of the encoder of rgb."""
    root = repository.parent / f"alone{version}"
    (root / "cocon_rgb").mkdir(parents=True)
    (root / "cocon_rgb" / "1").symlink_to(repository / "cocon_rgb" / str(version))
    return root
