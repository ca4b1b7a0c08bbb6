"""Every file of the folder of real videos, sound or not: the server says of it what the client says."""

import json
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo
from cocon.serving.launcher import ServerProcess
from tests.serving.backends.cocon_video.test_served_videos import ask, refused

pytestmark = [pytest.mark.real_videos, pytest.mark.triton, pytest.mark.videos]


def test_rows_and_errors_are_those_of_the_client(video_server: ServerProcess, real_videos: Path) -> None:
    files = sorted(path for path in real_videos.rglob("*") if path.is_file() and path.stat().st_size <= 4 << 20)
    num_failed = 0
    with VideoEmbedder(video_server.url) as embedder:
        for path, result in zip(files, embedder.embed_many(files), strict=True):
            content = np.fromfile(path, np.uint8)
            if isinstance(result, FailedVideo):
                message = f"{type(result.error).__name__}: {result.message}"
                assert refused(video_server.url, content, name=str(path)) == ("INVALID_ARGUMENT", message)
                num_failed += 1
                continue
            found = ask(video_server.url, content, name=str(path))
            about = json.loads(found["about"][0])
            assert (found["embedding"] * result.embedding).sum(axis=-1).min() >= 0.9999, path
            for name in ("start_seconds", "end_seconds"):
                np.testing.assert_array_equal(found[name], getattr(result, name))
            for name in ("content_sha256", "num_frames", "truncated", "fingerprint"):
                assert about[name] == getattr(result, name), path
    assert 0 < num_failed < len(files)
