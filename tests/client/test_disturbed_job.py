"""A job goes on while workers and servers die, are restarted and come back: every row once, each the right one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cocon.client import VideoEmbedder
from cocon.serving.address import Address
from tests.client.conftest import contract, make_repository, write_video
from tests.client.disturbed_job import check_rows, run_disturbed, served
from tests.client.models.conftest import write_config

pytestmark = [pytest.mark.triton, pytest.mark.videos]


@pytest.fixture(scope="module", autouse=True)
def _private_folders(tmp_path_factory: pytest.TempPathFactory) -> "pytest.MonkeyPatch":
    """No server of the user's is seen or ended."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("xdg")))
        yield patch


def assert_survives(tmp_path: Path, num_videos: int, disturbances: Sequence[str]) -> None:
    repository = make_repository(tmp_path / "repository", contract("rgb"))
    write_config(repository / "cocon_rgb", contract("rgb"), "onnxruntime")
    videos, output, address = tmp_path / "videos", tmp_path / "rows.jsonl", Address.on_free_ports()
    paths = [write_video(videos / f"{number:03d}.mp4", seed=number, num_frames=60) for number in range(num_videos)]
    with served(repository, address):
        job = run_disturbed(videos, output, repository, address, disturbances)
    assert job.exit_code == 0, job.stderr
    assert job.num_disturbances == len(disturbances)
    with VideoEmbedder(f"local:{repository}") as embedder:
        assert check_rows(output, paths, embedder) == 15 * num_videos


def test_a_job_survives_the_end_of_everything_once(tmp_path: Path) -> None:
    assert_survives(tmp_path, 16, ["kill worker", "kill server", "kill job", "restart server"])


@pytest.mark.slow
def test_a_job_survives_twenty_restarts_and_twenty_ends_of_workers(tmp_path: Path) -> None:
    once = ["kill worker", "kill server", "kill worker", "restart server"]
    assert_survives(tmp_path, 500, 10 * once)
