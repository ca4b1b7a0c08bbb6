"""The video model under noise, damaged files and senseless wishes: each ends in a sentence, and it goes on."""

import random
from pathlib import Path

import pytest
from tritonclient.grpc import InferenceServerClient

from cocon.embedding.videos.call_record import VIDEO_MODEL
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import write_video
from tests.serving.hostile.siege import Neighbour, send_all
from tests.serving.hostile.video_attacks import damaged_videos, sound_question, video_attacks
from tests.video.mutations import mutated_files

pytestmark = [pytest.mark.triton, pytest.mark.videos]


@pytest.mark.parametrize(("num_random", "num_damaged"), [(32, 0), pytest.param(300, 300, marks=pytest.mark.slow)])
def test_what_is_no_video_is_refused_in_a_sentence(
    video_server: ServerProcess, tmp_path: Path, num_random: int, num_damaged: int
) -> None:
    sound = write_video(tmp_path / "sound.mp4", seed=0).read_bytes()
    attacks = list(video_attacks(random.Random(0), sound, num_random))
    if num_damaged:
        attacks += damaged_videos(mutated_files(tmp_path / "damaged", num_damaged, seed=0))
    neighbour = Neighbour(video_server.url, sound_question(sound))
    with neighbour.asking():
        outcome = send_all(video_server.url, attacks)
    assert video_server.is_alive()
    assert outcome.faults == []
    assert neighbour.faults == []
    assert neighbour.num_answers > 0
    statuses = set().union(*outcome.statuses.values())
    assert statuses <= {"OK", "INVALID_ARGUMENT"}
    assert outcome.statuses["noise as a video"].keys() == {"INVALID_ARGUMENT"}
    with InferenceServerClient(video_server.url) as client:
        assert client.is_model_ready(VIDEO_MODEL)
