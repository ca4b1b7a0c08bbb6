"""The boundary head: targets as BSN defines them, and planted boundaries that it learns to find."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.core.errors import CoconError, MismatchError, UsageError
from cocon.embedding.locating.boundary_model import BoundaryContract
from cocon.embedding.locating.detection import find_segments
from cocon.embedding.locating.proposals import Segment, uniform_proposals
from cocon.training.boundary_head.learning import (
    BlockSequence,
    BoundarySettings,
    boundary_probabilities,
    boundary_targets,
    train_boundary_head,
)
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.config.run import Config
from cocon.training.evaluation.locating.figures import average_recall
from cocon.training.run_folder.boundary_heads import BoundaryRecord
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import tensors_sha256

DIM, HOP_SECONDS, VIDEO_SECONDS = 16, 0.25, 30.0
MIN_SECONDS, MAX_SECONDS = 2.0, 7.0


def planted(seed: int) -> tuple[BlockSequence, tuple[Segment, ...]]:
    """A noisy video of 30 s before a background of its own; within three actions blocks lean to one direction."""
    rng = np.random.default_rng(seed)
    times = HOP_SECONDS * np.arange(120) + 0.2
    edges = np.array([2, 12, 22]) + rng.uniform(0, 3, 3)
    segments = tuple(Segment(float(start), float(start + rng.uniform(3, 6)), label="act") for start in edges)
    blocks = rng.normal(size=(len(times), DIM)) + rng.normal(size=DIM)
    for segment in segments:
        blocks[(times > segment.start_seconds) & (times < segment.end_seconds)] += 1.5
    blocks /= np.linalg.norm(blocks, axis=1, keepdims=True)
    return BlockSequence(blocks.astype(np.float32), times, VIDEO_SECONDS), segments


def test_targets_are_the_regions_of_bsn() -> None:
    times = np.arange(20) + 0.5  # a moment stands for one second
    targets = boundary_targets([Segment(4.0, 14.0)], times)
    # A tenth of 10 s to both sides: 3 … 5 and 13 … 15; inside: 4 … 14.
    assert np.flatnonzero(targets[:, 0]).tolist() == [3, 4]
    assert np.flatnonzero(targets[:, 1]).tolist() == [13, 14]
    assert np.flatnonzero(targets[:, 2]).tolist() == list(range(4, 14))


def test_an_action_shorter_than_a_hop_has_a_start_and_an_end_all_the_same() -> None:
    targets = boundary_targets([Segment(6.1, 6.3)], np.arange(20) + 0.5)
    assert np.argwhere(targets).tolist() == [[6, 0], [6, 1]]


@pytest.mark.training
def test_the_head_finds_planted_boundaries_in_videos_it_has_not_seen() -> None:
    trained = [planted(seed) for seed in range(12)]
    head = train_boundary_head([s for s, _ in trained], [a for _, a in trained], BoundarySettings())
    others = {str(seed): planted(seed) for seed in range(100, 106)}
    truths = {name: actions for name, (_, actions) in others.items()}
    found = {
        name: find_segments(
            boundary_probabilities(head, sequence),
            sequence.times_seconds,
            duration_seconds=sequence.duration_seconds,
            min_seconds=MIN_SECONDS,
            max_seconds=MAX_SECONDS,
        )
        for name, (sequence, _) in others.items()
    }
    uniform = {
        name: uniform_proposals(VIDEO_SECONDS, 100, min_seconds=MIN_SECONDS, max_seconds=MAX_SECONDS) for name in others
    }
    ours, theirs = average_recall(found, truths), average_recall(uniform, truths)
    assert ours.at(5) > 60 > 20 > theirs.at(5)
    assert ours.auc > theirs.auc + 20


def test_training_is_repeatable_and_leaves_the_global_random_numbers_alone() -> None:
    sequence, actions = planted(0)
    state = torch.get_rng_state()
    first, second = (train_boundary_head([sequence], [actions], BoundarySettings(epochs=2)) for _ in range(2))
    other = train_boundary_head([sequence], [actions], BoundarySettings(epochs=2, seed=1))
    assert (
        tensors_sha256(first.state_dict()) == tensors_sha256(second.state_dict()) != tensors_sha256(other.state_dict())
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_the_head_is_small_and_takes_any_length() -> None:
    head = BoundaryHead(2048)
    assert sum(parameter.numel() for parameter in head.parameters()) <= 300_000
    assert [head(torch.zeros(2, length, 2048)).shape for length in (1, 7)] == [(2, 1, 3), (2, 7, 3)]


def test_the_head_sees_25_blocks() -> None:
    torch.manual_seed(0)
    head = BoundaryHead(DIM).eval()
    blocks = torch.randn(1, DIM, 81)
    other = blocks.clone()
    other[:, :, 40] += 1
    with torch.no_grad():
        is_other = (head.layers(blocks) != head.layers(other)).any(dim=1)[0]
    assert is_other.nonzero().flatten().tolist() == list(range(28, 53, 2))  # all that are an even number away


def test_a_head_is_kept_in_the_run_and_refused_once_its_encoder_is_another(trained_copy: Path) -> None:
    run = RunFolder.open(trained_copy)
    encoder = run.contract("rgb")
    head = BoundaryHead(encoder.embedding_dim).eval()
    contract = BoundaryContract(
        "rgb", encoder.fingerprint, encoder.embedding_dim, 1, min_seconds=1.0, max_seconds=4.0,
        weights_sha256=tensors_sha256(head.state_dict()),
    )  # fmt: skip
    record = BoundaryRecord(contract, BoundarySettings(seed=3), "set", 6, {"AUC": 12.5})
    assert run.boundary_head("rgb") is None
    run.save_boundary_head(head, record)
    loaded = run.boundary_head("rgb")
    assert (
        loaded is not None
        and loaded[1] == record
        and tensors_sha256(loaded[0].state_dict()) == tensors_sha256(head.state_dict())
    )
    path = trained_copy / "views" / "rgb" / "boundary_head.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 1', 1))
    with pytest.raises(MismatchError, match=r"no sound record.*train it again"):
        run.boundary_head("rgb")
    run.save_boundary_head(head, replace(record, contract=replace(contract, encoder_fingerprint="0" * 64)))
    with pytest.raises(MismatchError, match="another encoder"):
        run.boundary_head("rgb")


def test_a_packed_run_keeps_no_heads_and_a_folder_that_cannot_be_written_is_said_beforehand(
    tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path, tiny_config())
    (tmp_path / "views" / "rgb").mkdir(parents=True)
    assert run.keeps_boundary_heads(["rgb"])
    assert not list((tmp_path / "views" / "rgb").iterdir())
    (tmp_path / "views" / "flow").symlink_to("/proc/self/fdinfo")  # where not even root can write
    with pytest.raises(UsageError, match="cannot keep a boundary head"):
        run.keeps_boundary_heads(["rgb", "flow"])
    (tmp_path / "SHA256SUMS").touch()
    assert not run.keeps_boundary_heads(["rgb", "flow"])


def test_a_head_whose_weights_become_infinite_is_refused() -> None:
    sequence, segments = planted(0)
    with pytest.raises(
        CoconError, match=r"training a boundary head diverged: weights are not finite in epoch \d, such as"
    ):
        train_boundary_head([sequence], [segments], BoundarySettings(epochs=4, learning_rate=1e36))
    useless = replace(sequence, blocks=np.full_like(sequence.blocks, np.nan))
    with pytest.raises(CoconError, match="in epoch 1"):
        train_boundary_head([useless], [segments], BoundarySettings(epochs=1))
