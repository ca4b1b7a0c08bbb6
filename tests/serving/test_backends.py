"""The stand-in backends inside a real Triton answer what the models answer in-process."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.serving.backends.batches import Arrays, Batcher, Infer, Signature
from cocon.serving.backends.pytorch.model import positions
from cocon.serving.launcher import ServerProcess
from tests.asking import infer

OUTPUTS = ["embedding", "blocks", "logits"]
Clips = NDArray[np.uint8]


@pytest.fixture
def clips() -> Clips:
    return np.random.default_rng(1).integers(0, 256, (16, 2, 2, 8, 8, 3), dtype=np.uint8)


def batcher(infer: Infer, *, sizes: Sequence[int] = ()) -> Batcher:
    return Batcher(Signature(("clip",), ("values",), ("TYPE_FP32",), is_batched=True), infer, sizes=sizes)


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


@pytest.mark.parametrize(("model", "shares_batches"), [("cocon_flow", True), ("cocon_busy", False)])
def test_concurrent_requests_share_a_batch_unless_instances_share_them(
    model: str,
    shares_batches: bool,
    server: ServerProcess,
    client: InferenceServerClient,
    clips: Clips,
    expected: dict[str, NDArray[np.float32]],
) -> None:
    def statistics() -> Any:
        return client.get_inference_statistics(model).model_stats[0]

    before = statistics()
    sizes = [1, 2, 3, 1, 2, 3, 1, 2]
    ends = np.cumsum(sizes)
    with ThreadPoolExecutor(len(sizes)) as pool, InferenceServerClient(server.url) as shared:
        parts = [clips[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        answers = list(pool.map(lambda part: infer(shared, model, {"clip": part})["logits"], parts))
    for end, size, answer in zip(ends, sizes, answers, strict=True):
        np.testing.assert_allclose(answer, -expected["logits"][end - size : end], rtol=1e-5)
    deadline = time.monotonic() + 60  # a server counts after it has answered
    while (after := statistics()).inference_count < before.inference_count + sum(sizes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert after.inference_count - before.inference_count == sum(sizes)
    num_batches = after.execution_count - before.execution_count
    assert num_batches < len(sizes) if shares_batches else num_batches == len(sizes)


def test_a_batch_larger_than_the_maximum_is_refused(client: InferenceServerClient, clips: Clips) -> None:
    with pytest.raises(InferenceServerException, match="must be <= 16"):
        infer(client, "cocon_rgb", {"clip": np.concatenate([clips, clips])})


def test_rows_of_a_joined_batch_equal_each_request_alone(clips: Clips) -> None:
    def double(inputs: Arrays) -> Arrays:
        return [inputs[0].astype(np.float32) * 2, inputs[0].mean(axis=(1, 2, 3, 4))]

    requests = [[clips[0:1]], [clips[1:4]], [clips[4:6]]]
    together = batcher(double).infer_together(requests)
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
    answers = batcher(refuse_nan).infer_together([good, bad, good])
    assert [isinstance(answer, ValueError) for answer in answers] == [False, True, False]


def test_an_output_without_batch_axis_is_an_error() -> None:
    answers = batcher(lambda inputs: [np.ones(5)]).infer_together([[np.ones((2, 3))], [np.ones((1, 3))]])
    assert [str(answer) for answer in answers] == [
        "an output has 5 rows for a batch of 2",
        "an output has 5 rows for a batch of 1",
    ]


def test_a_request_that_comes_alone_is_not_copied_and_answers_are_views(clips: Clips) -> None:
    seen: list[Clips] = []

    def keep(inputs: Arrays) -> Arrays:
        seen.append(inputs[0])
        return [inputs[0]]

    ((answer,),) = batcher(keep).infer_together([[clips]])
    assert seen[0] is clips
    assert np.shares_memory(answer, clips)


def test_batches_use_the_same_memory_again_and_never_each_others_rows(clips: Clips) -> None:
    seen: list[Clips] = []

    def keep(inputs: Arrays) -> Arrays:
        seen.append(inputs[0])
        return [inputs[0].astype(np.float32)]

    several = batcher(keep)
    for sizes in ((3, 5), (2, 2), (1, 4)):
        parts = np.split(clips[: sum(sizes)], [sizes[0]])
        for part, answer in zip(parts, several.infer_together([[part] for part in parts]), strict=True):
            assert not isinstance(answer, Exception)
            np.testing.assert_array_equal(answer[0], part)
    assert [len(batch) for batch in seen] == [8, 4, 5]
    assert np.shares_memory(seen[0], seen[1])


def test_batches_are_filled_up_to_the_sizes_given_and_answers_are_not(clips: Clips) -> None:
    seen: list[int] = []

    def count(inputs: Arrays) -> Arrays:
        seen.append(len(inputs[0]))
        return [inputs[0] + 0]

    filled = batcher(count, sizes=(1, 2, 4))
    for sizes in ((3,), (1, 2), (1,), (2, 4)):
        parts = np.split(clips[: sum(sizes)], np.cumsum(sizes)[:-1])
        for part, answer in zip(parts, filled.infer_together([[part] for part in parts]), strict=True):
            assert not isinstance(answer, Exception)
            np.testing.assert_array_equal(answer[0], part)
    assert seen == [4, 4, 1, 6]


def test_names_are_matched_by_argument_then_index_then_order() -> None:
    assert positions(["b", "a"], ["a", "b"]) == [1, 0]
    assert positions(["INPUT__1", "INPUT__0"], ["a", "b"]) == [1, 0]
    assert positions(["x", "a"], ["a", "b"]) == [0, 1]
    assert positions(["embedding", "blocks"]) == [0, 1]
    assert positions(["logits__2", "embedding__0"]) == [2, 0]
    assert positions(["logits__2", "embedding"]) == [0, 1]
