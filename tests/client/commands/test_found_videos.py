"""Files that broke the product once, whose right values are known: the folder `found` of COCON_TEST_VIDEOS.

They are embedded by the packed encoders, in RGB and in flow.
"""

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = [pytest.mark.real_videos, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[3]
# A file, its true twin, and the least cosine of every clip. A twin is another encoding of the same source.
TWINS = {
    "f01_multi_gop.ts": ("f01_multi_gop_right.mp4", 0.999),
    "f04_sar43.mp4": ("f04_sar43_right.mp4", 0.99),
    "f05_mirror_h.mp4": ("f05_mirror_h_right.mp4", 0.99),
    "f06_cover_first.mkv": ("f02_colon.mp4", 0.999),
    "Talk: part 1.mp4": ("f02_colon.mp4", 0.9999),
}
REFUSED = {"f03_playlist/upload.mp4": "UnreadableVideoError", "f07_song_with_cover.m4a": "NoVideoStreamError"}
_COCON = "from cocon.core.command import main; main()"
_CLIENT = "from cocon.client.commands.main import main; main()"


# Flow sees that one film has fewer pixels than the other.
LEAST_OF_FLOW = {"f04_sar43.mp4": 0.98}


@dataclass(frozen=True, slots=True)
class Embedded:
    """What one `client embed` of a view gave: name → vector and truncated of every clip; name → class of the error."""

    view: str
    clips: dict[str, list[tuple[NDArray[np.float64], bool]]]
    errors: dict[str, str]
    code: int


@pytest.fixture(scope="module", params=["rgb", "flow"])
def embedded(request: pytest.FixtureRequest, real_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """All of them in one run, by names relative to their folder."""
    root = tmp_path_factory.mktemp("found")
    folder = Path(shutil.copytree(real_videos / "found", root / "found"))
    shutil.copy(folder / "f02_colon.mp4", folder / "Talk: part 1.mp4")
    packed, repository = ROOT / "pretrained" / "figures-tiny", root / "models"
    exporting = ["export", "--run", str(packed), "--repository", str(repository), "--no-torchscript"]
    assert _run(root, _COCON, *exporting).returncode == 0
    names = sorted({*TWINS, *(right for right, _ in TWINS.values()), *REFUSED})
    options = ["--view", request.param, "--format", "jsonl", "--url", f"local:{repository}"]
    ended = _run(folder, _CLIENT, "embed", *names, *options)
    clips, errors = defaultdict(list), {}
    for row in map(json.loads, ended.stdout.splitlines()):
        if "error" in row:
            errors[row["video"]] = row["error"]["class"]
        else:
            clips[row["video"]].append((np.array(row["embedding"]), row["truncated"]))
    return Embedded(request.param, dict(clips), errors, ended.returncode)


def _run(folder: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", TWINS)
def test_a_file_gives_the_vectors_of_its_true_twin(name: str, embedded: Embedded) -> None:
    right, least = TWINS[name]
    assert len(embedded.clips[name]) == len(embedded.clips[right]) > 0
    cosines = [
        float(found @ wanted)
        for (found, _), (wanted, _) in zip(embedded.clips[name], embedded.clips[right], strict=True)
    ]
    print(name, [round(cosine, 5) for cosine in cosines])
    assert min(cosines) >= (LEAST_OF_FLOW.get(name, least) if embedded.view == "flow" else least)
    assert not any(is_truncated for _, is_truncated in embedded.clips[name])


def test_scripts_and_songs_are_refused(embedded: Embedded) -> None:
    assert embedded.errors == REFUSED
    assert embedded.code == 3
