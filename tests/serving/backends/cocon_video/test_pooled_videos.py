"""A server of views that keep other things, one of which follows people: it says of videos what the client says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder
from cocon.video.following.rule import Following
from tests.client.conftest import DIM, contract
from tests.serving.backends.cocon_video.conftest import make_video_repository, serving
from tests.serving.backends.cocon_video.test_served_videos import ask

pytestmark = [pytest.mark.triton, pytest.mark.videos]


def test_vectors_of_other_lengths_and_windows_are_those_of_the_client(
    films: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rgb, flow = contract("rgb", labels=(), pooling="thirds"), contract("flow", weights="2", labels=())
    rgb = replace(rgb, geometry=replace(rgb.geometry, following=Following()))
    repository = make_video_repository(tmp_path_factory.mktemp("pooled") / "model_repository", flow, rgb)
    with VideoEmbedder(f"local:{repository}", views=["rgb", "flow"]) as embedder:
        expected = embedder.embed(films["a0"])
    assert expected.embedding.shape[1] == 4 * DIM
    with serving(repository, tmp_path_factory) as server:
        with VideoEmbedder(server.url, views=["rgb", "flow"]) as embedder:
            by_client = embedder.embed(films["a0"])
        found = ask(server.url, np.fromfile(films["a0"], np.uint8), views="flow,rgb")
    assert found["embedding_rgb"].shape[1:] == (3 * DIM,) and found["embedding_flow"].shape[1:] == (DIM,)
    for vectors in (by_client.embedding, found["embedding"]):
        assert vectors.shape == expected.embedding.shape
        assert (vectors * expected.embedding).sum(axis=-1).min() >= 0.9999
    np.testing.assert_allclose(found["blocks"], expected.blocks, atol=1e-4)
