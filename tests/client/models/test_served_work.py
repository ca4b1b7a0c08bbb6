"""What a server has done for a model between two moments: a real server's counts."""

import dataclasses

import numpy as np

from cocon.client import connect
from cocon.client.models.served_work import ServedWork
from cocon.client.models.server import TritonServer
from cocon.embedding.embedder import ENCODER
from cocon.serving.launcher import ServerProcess


def clips(num_clips: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_clips, 2, 2, 16, 16, 3), dtype=np.uint8)


def test_a_server_tells_what_it_did_between_two_moments(server: ServerProcess) -> None:
    with TritonServer(server.url) as triton:
        model = triton.open(ENCODER, "rgb")
        before = triton.statistics(model.name, model.version)
        for num_clips in (4, 3, 1):
            model.embed(clips(num_clips))
        work = triton.statistics(model.name, model.version).since(before)
    assert (work.num_requests, work.num_failed, work.num_rows, work.num_executions) == (3, 0, 8, 3)
    assert work.mean_batch_size == 8 / 3
    parts = (work.queue_s, work.input_s, work.infer_s, work.output_s)
    assert min(parts) > 0
    assert sum(parts) + work.overhead_s <= work.request_s + 1e-6


def test_nobody_counts_in_this_process(url: str) -> None:
    assert connect(url).statistics("cocon_rgb", "1") is None


def test_a_server_that_was_started_anew_counts_from_nothing() -> None:
    later = ServedWork(3, 0, 12, 2, 0.5, 0.1, 0.1, 0.2, 0.0)
    assert later.since(dataclasses.replace(later, num_requests=2, num_rows=8)).num_rows == 4
    assert later.since(dataclasses.replace(later, num_requests=100)) == later
    assert ServedWork(0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0).mean_batch_size == 0
