"""The stand-in backends inside a real Triton answer what the models answer in-process."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.serving.backends.batching import Arrays, infer_together
from cocon.serving.backends.pytorch.model import positions
from cocon.serving.launcher import ServerProcess
from tests.asking import infer

OUTPUTS = ["embedding", "blocks", "logits"]
Clips = NDArray[np.uint8]


@pytest.fixture
def clips() -> Clips:
    return np.random.default_rng(1).integers(0, 256, (16, 2, 2, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def expected(full_repository: Path, clips: Clips) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(
        full_repository / "cocon_rgb" / "1" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    return dict(zip(OUTPUTS, session.run(OUTPUTS, {"clip": clips}), strict=True))


@pytest.mark.parametrize(("model", "tolerance"), [("cocon_rgb", 1e-5), ("cocon_rgb_torchscript", 1e-4)])
def test_models_with_plain_output_names_answer_as_onnx_in_process(
    model: str, tolerance: float, client: InferenceServerClient, clips: Clips, expected: dict[str, NDArray[np.float32]]
) -> None:
    served = infer(client, model, {"clip": clips})
    assert sorted(served) == sorted(OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(served[name], expected[name], rtol=tolerance)


def test_torchscript_with_indexed_output_names_follows_the_indices(
    client: InferenceServerClient, clips: Clips, expected: dict[str, NDArray[np.float32]]
) -> None:
    served = infer(client, "cocon_rgb_indexed", {"clip": clips})
    np.testing.assert_allclose(served["logits__2"], expected["logits"], rtol=1e-4)
    np.testing.assert_allclose(served["embedding__0"], expected["embedding"], rtol=1e-4)


def test_ensemble_runs_both_encoders_and_the_fusion(
    client: InferenceServerClient, clips: Clips, expected: dict[str, NDArray[np.float32]]
) -> None:
    served = infer(client, "cocon", {"rgb": clips, "flow": clips})
    np.testing.assert_allclose(served["logits"], 2 * expected["logits"], rtol=1e-5)  # flow's weights are -rgb's


def test_concurrent_requests_share_a_batch_and_get_their_own_rows(
    server: ServerProcess, client: InferenceServerClient, clips: Clips, expected: dict[str, NDArray[np.float32]]
) -> None:
    def statistics() -> Any:
        return client.get_inference_statistics("cocon_flow").model_stats[0]

    before = statistics()
    sizes = [1, 2, 3, 1, 2, 3, 1, 2]
    ends = np.cumsum(sizes)
    with ThreadPoolExecutor(len(sizes)) as pool, InferenceServerClient(server.url) as shared:
        parts = [clips[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        answers = list(pool.map(lambda part: infer(shared, "cocon_flow", {"clip": part})["logits"], parts))
    for end, size, answer in zip(ends, sizes, answers, strict=True):
        np.testing.assert_allclose(answer, -expected["logits"][end - size : end], rtol=1e-5)
    deadline = time.monotonic() + 60  # a server counts after it has answered
    while (after := statistics()).inference_count < before.inference_count + sum(sizes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert after.inference_count - before.inference_count == sum(sizes)
    assert after.execution_count - before.execution_count < len(sizes)


def test_a_batch_larger_than_the_maximum_is_refused(client: InferenceServerClient, clips: Clips) -> None:
    with pytest.raises(InferenceServerException, match="must be <= 16"):
        infer(client, "cocon_rgb", {"clip": np.concatenate([clips, clips])})


def test_rows_of_a_joined_batch_equal_each_request_alone(clips: Clips) -> None:
    def double(inputs: Arrays) -> Arrays:
        return [inputs[0].astype(np.float32) * 2, inputs[0].mean(axis=(1, 2, 3, 4))]

    requests = [[clips[0:1]], [clips[1:4]], [clips[4:6]]]
    together = infer_together(requests, double, is_batched=True)
    for request, answer in zip(requests, together, strict=True):
        assert not isinstance(answer, Exception)
        for joined, alone in zip(answer, double(request), strict=True):
            np.testing.assert_array_equal(joined, alone)


def test_only_the_request_at_fault_gets_the_error() -> None:
    def refuse_nan(inputs: Arrays) -> Arrays:
        if np.isnan(inputs[0]).any():
            raise ValueError("not finite")
        return inputs

    good, bad = [np.ones((2, 3))], [np.full((1, 3), np.nan)]
    answers = infer_together([good, bad, good], refuse_nan, is_batched=True)
    assert [isinstance(answer, ValueError) for answer in answers] == [False, True, False]


def test_an_output_without_batch_axis_is_an_error() -> None:
    answers = infer_together([[np.ones((2, 3))], [np.ones((1, 3))]], lambda inputs: [np.ones(5)], is_batched=True)
    assert [str(answer) for answer in answers] == [
        "an output has 5 rows for a batch of 2",
        "an output has 5 rows for a batch of 1",
    ]


def test_names_are_matched_by_argument_then_index_then_order() -> None:
    assert positions(["b", "a"], ["a", "b"]) == [1, 0]
    assert positions(["INPUT__1", "INPUT__0"], ["a", "b"]) == [1, 0]
    assert positions(["x", "a"], ["a", "b"]) == [0, 1]
    assert positions(["embedding", "blocks"]) == [0, 1]
    assert positions(["logits__2", "embedding__0"]) == [2, 0]
    assert positions(["logits__2", "embedding"]) == [0, 1]
