"""Whole videos sent to `cocon_video` beside the client that decodes them itself, both against one real Triton.

    python benchmarks/video_model.py                # films of 640 × 360 are generated; any videos: --videos FOLDER

*Decoded by the server*: a thread for each of the model's instances, each with Triton's own client, sends the bytes of a
file and waits for its rows. *Decoded by the client*: `VideoEmbedder`, which has a decoder for each core. Both end with
the same vectors, which is checked, and take turns; decoders, encoders and callers share the cores of this machine.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from embed import films
from every import PACKED_RUN
from numpy.typing import NDArray
from processor_time import processor_seconds
from results_file import Row, write_results
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from cocon.client import VideoEmbedder
from cocon.embedding.config_files import read_config
from cocon.embedding.repository import CONFIG_FILE
from cocon.embedding.videos.call_record import VIDEO_MODEL
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.video.store.found_videos import find_videos

NUM_ROUNDS = 5
VIEWS = (("rgb",), ("flow", "rgb"))
SERVER, CLIENT = "decoded by the server", "decoded by the client"
WANTED = 0.9
LONGEST_MESSAGE = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Vectors = dict[Path, NDArray[np.float32]]


def main() -> None:
    """Measure, print and write `benchmarks/results/video_model.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="a folder of videos; generated films without it")
    parser.add_argument("--repository", type=Path, help="with cocon_video; that of the packed encoders without it")
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS, help="of both sides")
    given = parser.parse_args()
    rows: list[Row] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        repository = given.repository or exported(scratch / "model_repository")
        videos = list(find_videos(given.videos).videos) if given.videos else films(scratch / "films")
        log = scratch / "triton.log"
        server = stack.enter_context(ServerProcess(repository, Address.on_free_ports(), log=log, timeout_s=600))
        num_callers = read_config(repository / VIDEO_MODEL / CONFIG_FILE).instance_group[0].count
        for views in VIEWS:
            embedder = stack.enter_context(VideoEmbedder(server.url, views=views, has_probabilities=False))
            ways = {
                SERVER: partial(by_server, server.url, videos, views, num_callers),
                CLIENT: partial(by_client, embedder, videos),
            }
            rows += measured(" and ".join(views), ways, given.rounds)
    print(write_results("video_model", rows, packages=["tritonclient", "onnxruntime-gpu", "nvidia-pytriton", "av"]))


def measured(case: str, ways: dict[str, Callable[[], Vectors]], num_rounds: int) -> list[Row]:
    """Clips a second, and what they cost the processors, the ways in turn."""
    found = {name: way() for name, way in ways.items()}  # everything is started and warm by then
    check_same(found[CLIENT], found[SERVER])
    num_clips = sum(map(len, found[CLIENT].values()))
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(num_rounds):
        for name, way in ways.items():
            processes = psutil.Process().children(recursive=True)  # the server's, and the decoders of this one
            before, begin_s = processor_seconds(processes), time.perf_counter()
            way()
            wall_s = time.perf_counter() - begin_s
            taken[name].append((wall_s, processor_seconds(processes) - before))
        last = ", ".join(f"{name} {times[-1][0]:.2f} s" for name, times in taken.items())
        print(f"{case}, round {number + 1}: {last}; load {psutil.getloadavg()[0]:.1f}", flush=True)
    (ours_s, ours_used_s), (theirs_s, theirs_used_s) = (
        tuple(statistics.median(column) for column in zip(*taken[name], strict=True)) for name in (SERVER, CLIENT)
    )
    rows = [
        Row(f"{case}, {SERVER}", num_clips / ours_s, "clips/s", CLIENT, theirs_s / ours_s, WANTED),
        Row(
            f"{case}, {SERVER}",
            1e3 * ours_used_s / num_clips,
            "processor's ms per clip",
            CLIENT,
            theirs_used_s / ours_used_s,
        ),
    ]
    for row in rows:
        print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.2f} x {row.versus}", flush=True)
    return rows


def check_same(expected: Vectors, found: Vectors) -> None:
    """Refuse to compare what does not give the same."""
    for path, vectors in expected.items():
        cosines = (vectors * found[path]).sum(axis=-1)
        if not cosines.min() >= 0.9999:
            sys.exit(f"'{path.name}': vectors differ, cosine {cosines.min():.6f}")


def by_client(embedder: VideoEmbedder, videos: Sequence[Path]) -> Vectors:
    """Vectors of all clips of videos, decoded here."""
    return {path: result.embedding for path, result in zip(videos, embedder.embed_many(videos), strict=True)}


def by_server(url: str, videos: Sequence[Path], views: Sequence[str], num_callers: int) -> Vectors:
    """The same, decoded there."""
    with ThreadPoolExecutor(num_callers) as threads, InferenceServerClient(url, channel_args=LONGEST_MESSAGE) as client:
        return dict(zip(videos, threads.map(partial(asked, client, views), videos), strict=True))


def asked(client: InferenceServerClient, views: Sequence[str], path: Path) -> NDArray[np.float32]:
    """Vectors of the clips of one video."""
    content = np.fromfile(path, np.uint8)
    video = InferInput("video", [len(content)], "UINT8")
    video.set_data_from_numpy(content)
    wanted = [InferRequestedOutput(name) for name in ("embedding", "about")]
    result = client.infer(VIDEO_MODEL, [video], outputs=wanted, parameters={"views": ",".join(views)})
    assert json.loads(result.as_numpy("about")[0])["view"] == "+".join(sorted(views))
    return result.as_numpy("embedding")


def exported(repository: Path) -> Path:
    """The packed encoders, and the model that takes videos."""
    command = [sys.executable, "-c", "from cocon.core.command import main; main()", "export", "--no-torchscript"]
    command += ["--video", f"--run={PACKED_RUN}", f"--repository={repository}", "--views=rgb", "--views=flow"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return repository


if __name__ == "__main__":
    main()
