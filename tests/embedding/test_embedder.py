"""What every embedder must give, and the one function that compares two of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import GateError, MismatchError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import Embedder, Outputs, assert_congruent, check_clips

MakeContract = Callable[..., ModelContract]
Floats = NDArray[np.float32]

CLIPS = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 8, 8, 3), dtype=np.uint8)


def _unit(x: Floats) -> Floats:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


@dataclass
class LinearEmbedder:
    """A projection of each block's bytes; `change` is done to the result."""

    contract: ModelContract
    change: Callable[[Outputs], Outputs] = lambda outputs: outputs

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        pixels = clips.reshape(len(clips), 2, -1).astype(np.float32) / 255
        weight = np.random.default_rng(1).standard_normal((pixels.shape[-1], 4)).astype(np.float32)
        blocks = _unit(pixels @ weight)
        logits = blocks.mean(axis=1) @ weight[:4, :3]
        return self.change(Outputs(_unit(blocks.mean(axis=1)), blocks, logits))


def _embedders(make_contract: MakeContract, change: Callable[[Outputs], Outputs]) -> tuple[Embedder, Embedder]:
    contract = make_contract()
    return LinearEmbedder(contract), LinearEmbedder(contract, change)


def test_an_embedder_is_congruent_with_itself(make_contract: MakeContract) -> None:
    result = assert_congruent(*_embedders(make_contract, lambda outputs: outputs), CLIPS)
    assert result.min_cosine == pytest.approx(1.0, abs=1e-12)
    assert result.max_abs_difference == 0.0
    assert result.num_clips == 5


def test_congruence_reports_the_worst_figures_of_all_outputs(make_contract: MakeContract) -> None:
    def shift(outputs: Outputs) -> Outputs:
        assert outputs.logits is not None
        logits = outputs.logits.copy()
        logits[3, 1] += 5e-5
        return replace(outputs, logits=logits)

    result = assert_congruent(*_embedders(make_contract, shift), CLIPS)
    assert result.max_abs_difference == pytest.approx(5e-5, rel=0.05)
    assert 0.99999 < result.min_cosine < 1.0


def _rotated(outputs: Outputs) -> Outputs:
    return replace(outputs, embedding=np.roll(outputs.embedding, 1, axis=-1))


def _one_wrong_block(outputs: Outputs) -> Outputs:
    blocks = outputs.blocks.copy()
    blocks[4, 1] *= -1
    return replace(outputs, blocks=blocks)


def _scaled_logits(outputs: Outputs) -> Outputs:
    assert outputs.logits is not None
    return replace(outputs, logits=outputs.logits * 1.01)  # cosine 1, but another number


def _nan_logits(outputs: Outputs) -> Outputs:
    assert outputs.logits is not None
    logits = outputs.logits.copy()
    logits[2, 0] = np.nan
    return replace(outputs, logits=logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rotated, "output 'embedding'"),
        (_one_wrong_block, "output 'blocks'"),
        (_scaled_logits, "output 'logits'"),
        (_nan_logits, "output 'logits'"),
        (lambda outputs: replace(outputs, logits=None), r"outputs differ: \['blocks', 'embedding'\] instead of"),
        (lambda outputs: replace(outputs, blocks=outputs.blocks[:, :1]), r"'blocks' has shape \[5, 1, 4\] instead of"),
        (lambda outputs: replace(outputs, embedding=outputs.embedding[:4]), r"'embedding' has shape \[4, 4\]"),
    ],
)
def test_every_difference_fails_the_gate_and_is_named(
    change: Callable[[Outputs], Outputs], message: str, make_contract: MakeContract
) -> None:
    with pytest.raises(GateError, match=message):
        assert_congruent(*_embedders(make_contract, change), CLIPS)


def test_large_numbers_are_compared_as_a_share_of_the_largest(make_contract: MakeContract) -> None:
    def times(factor: float) -> Callable[[Outputs], Outputs]:
        def change(outputs: Outputs) -> Outputs:
            assert outputs.logits is not None
            return replace(outputs, logits=outputs.logits * np.float32(factor))

        return change

    contract = make_contract()
    reference = LinearEmbedder(contract, times(1e4))
    near, far = (LinearEmbedder(contract, times(1e4 * factor)) for factor in (1 + 5e-5, 1 + 5e-4))
    assert assert_congruent(reference, near, CLIPS).max_abs_difference == pytest.approx(5e-5, rel=0.05)
    with pytest.raises(GateError, match="output 'logits'"):
        assert_congruent(reference, far, CLIPS)


def test_tolerances_decide(make_contract: MakeContract) -> None:
    pair = _embedders(make_contract, _scaled_logits)
    assert assert_congruent(*pair, CLIPS, max_abs_difference=1.0).max_abs_difference > 1e-4
    with pytest.raises(GateError, match=r"at most 1e-04"):
        assert_congruent(*pair, CLIPS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("output", ["embedding", "blocks"])
def test_outputs_refuse_what_is_not_finite(value: float, output: str) -> None:
    tensors = {"embedding": _unit(np.ones((2, 4), np.float32)), "blocks": _unit(np.ones((2, 3, 4), np.float32))}
    tensors[output].flat[5] = value
    with pytest.raises(MismatchError, match="not finite"):
        Outputs(**tensors, logits=None)


@pytest.mark.parametrize("scale", [0.0, 0.9, 1.01, 3.0])
def test_outputs_refuse_an_embedding_that_is_not_of_unit_length(scale: float) -> None:
    embedding = _unit(np.ones((2, 4), np.float32))
    embedding[1] *= scale
    with pytest.raises(MismatchError, match="not 1"):
        Outputs(embedding, _unit(np.ones((2, 3, 4), np.float32)), None)


def test_outputs_know_their_length_names_and_shapes() -> None:
    embedding, blocks = _unit(np.ones((2, 4), np.float32)), _unit(np.ones((2, 3, 4), np.float32))
    outputs = Outputs(embedding, blocks, np.zeros((2, 7), np.float32))
    assert len(outputs) == 2
    assert list(outputs.named()) == ["embedding", "blocks", "logits"]
    assert repr(outputs) == "Outputs(embedding=[2, 4], blocks=[2, 3, 4], logits=[2, 7])"
    assert list(Outputs(embedding, blocks, None).named()) == ["embedding", "blocks"]
    assert len(Outputs(embedding[:0], blocks[:0], None)) == 0


@pytest.mark.parametrize(
    "clips",
    [
        CLIPS.astype(np.float32),
        CLIPS[0],
        CLIPS[:0],
        CLIPS[:, :1],
        CLIPS[:, :, :2],
        CLIPS[..., :7, :],
        CLIPS[..., :1],
        np.moveaxis(CLIPS, -1, 3),
    ],
    ids=["float", "one clip", "none", "blocks", "frames", "pixels", "channels", "channels first"],
)
def test_clips_that_do_not_fit_the_contract_are_refused(clips: NDArray[np.uint8], make_contract: MakeContract) -> None:
    with pytest.raises(MismatchError, match=r"which takes uint8 \[B, 2, 3, 8, 8, 3\]"):
        check_clips(clips, make_contract())


def test_clips_that_fit_pass(make_contract: MakeContract) -> None:
    check_clips(CLIPS, make_contract())
