"""Training the boundary head of a view: which moments are starts, ends and insides of actions, and the loss.

targets = boundary_targets(segments, times_seconds)          # BSN, Lin et al., ECCV 2018, section 3.3
head = train_boundary_head(sequences, actions, BoundarySettings(seed=0))
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cocon.core.errors import CoconError
from cocon.embedding.locating.boundary_model import NUM_BOUNDARIES
from cocon.embedding.locating.proposals import Segment
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.models.soundness import unsound_tensor

__all__ = [
    "BlockSequence",
    "BoundarySettings",
    "boundary_probabilities",
    "boundary_targets",
    "train_boundary_head",
]

# Of an action's length, to both sides of its start and of its end.
_REGION_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class BlockSequence:
    """The blocks of one view of a video, in order of time and at a regular hop.

    Attributes:
        blocks: of unit length, `float32 [L, D]`.
        times_seconds: their middles after the first frame, `float64 [L]`.
        duration_seconds: of the video, to the end of its last frame.
    """

    blocks: NDArray[np.float32] = field(repr=False)
    times_seconds: NDArray[np.float64] = field(repr=False)
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class BoundarySettings:
    """How a head is trained.

    Attributes:
        epochs: passes over the videos.
        batch_size: videos of one step.
        learning_rate: of Adam.
        weight_decay: likewise.
        seed: of weights, order and dropout.
    """

    epochs: int = 30
    batch_size: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0


def boundary_targets(segments: Sequence[Segment], times_seconds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Which moments are a start, an end, and inside of an action.

    A moment stands for the time around it as long as the hop. It is a start if more than half of that lies within a
    tenth of an action's length of the action's start, and likewise an end; it is inside if more than half of it lies in
    the action. The moment nearest to a start or an end always counts, however short the action is.

    Args:
        segments: the actions of the video.
        times_seconds: of L moments, rising, `float64 [L]`.

    Returns:
        0 or 1, `float32 [L, 3]`.
    """
    targets = np.zeros((len(times_seconds), NUM_BOUNDARIES), np.float32)
    hop = float(np.median(np.diff(times_seconds))) if len(times_seconds) > 1 else 1.0
    for segment in segments:
        start, end = segment.start_seconds, segment.end_seconds
        reach = _REGION_SHARE * (end - start)
        for column, moment in enumerate((start, end)):
            targets[_mostly_in(times_seconds, hop, moment - reach, moment + reach), column] = 1
            targets[np.abs(times_seconds - moment).argmin(), column] = 1
        targets[_mostly_in(times_seconds, hop, start, end), 2] = 1
    return targets


def train_boundary_head(
    sequences: Sequence[BlockSequence], actions: Sequence[Sequence[Segment]], settings: BoundarySettings
) -> BoundaryHead:
    """Train a head on the blocks of some videos; the same input gives the same head.

    The loss is the mean binary cross-entropy of starts, ends and insides, in each of which those moments that are and
    those that are not count the same in all (BSN, equation 4).

    Args:
        sequences: of V videos.
        actions: the true segments of each.
        settings: how.

    Returns:
        In evaluation mode, on the CPU.

    Raises:
        ValueError: there are no videos.
        CoconError: its weights are not finite.
    """
    if not sequences:
        raise ValueError("a boundary head needs videos to be trained on")
    blocks = [torch.from_numpy(sequence.blocks) for sequence in sequences]
    targets = [
        torch.from_numpy(boundary_targets(segments, sequence.times_seconds))
        for sequence, segments in zip(sequences, actions, strict=True)
    ]
    shares = _balance(torch.cat(targets))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        head = BoundaryHead(blocks[0].shape[1])
        head.scale_by(blocks)
        optimizer = torch.optim.Adam(head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        head.train()
        for epoch in range(1, settings.epochs + 1):
            order = torch.randperm(len(blocks)).tolist()
            for start in range(0, len(order), settings.batch_size):
                batch = order[start : start + settings.batch_size]
                # One by one: padded videos would see their padding, which no video shows later.
                losses = [_loss(head(blocks[k][None])[0], targets[k], shares) for k in batch]
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(torch.stack(losses).mean())
                optimizer.step()
            _refuse_divergence(head, epoch)
    return head.eval()


def _refuse_divergence(head: BoundaryHead, epoch: int) -> None:
    if unsound := unsound_tensor(head):
        raise CoconError(
            f"training a boundary head diverged: weights are not finite in epoch {epoch}, such as {unsound}; "
            "the encoder may be of no use: train it again, with a lower learning rate"
        )


@torch.no_grad()
def boundary_probabilities(head: BoundaryHead, sequence: BlockSequence) -> NDArray[np.float64]:
    """Probabilities of start, end and actionness at every block, `float64 [L, 3]`."""
    logits = head(torch.from_numpy(sequence.blocks)[None])[0]  # [L, 3]
    return np.asarray(logits.sigmoid().double().numpy())


def _mostly_in(times_seconds: NDArray[np.float64], hop: float, start: float, end: float) -> NDArray[np.bool_]:
    """Whether more than half of the time around each moment lies in start … end."""
    shared = np.minimum(times_seconds + hop / 2, end) - np.maximum(times_seconds - hop / 2, start)
    return shared > hop / 2


def _balance(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of moments that are, and that are not, `float [3]` each: half of the whole to each kind."""
    num_positive = targets.sum(dim=0)  # [3]
    num_negative = len(targets) - num_positive
    return len(targets) / (2 * num_positive.clamp_min(1)), len(targets) / (2 * num_negative.clamp_min(1))


def _loss(logits: Tensor, targets: Tensor, shares: tuple[Tensor, Tensor]) -> Tensor:
    weights = torch.where(targets > 0, shares[0], shares[1])  # [L, 3]
    return F.binary_cross_entropy_with_logits(logits, targets, weights)
