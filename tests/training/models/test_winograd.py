"""Convolutions in tiles: the numbers and gradients of plain ones, and no more memory kept."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.models.convolutions import convolved
from cocon.training.models.winograd import tiled_conv3d

Convolution = Callable[[Tensor, Tensor], Tensor]


def _plain(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv3d(x, weight, padding=(weight.shape[2] // 2, 1, 1))


def _with_gradients(convolution: Convolution, x: Tensor, weight: Tensor) -> list[Tensor]:
    """Output, and gradients of both inputs under other weights for every output."""
    x, weight = (tensor.detach().clone().requires_grad_() for tensor in (x, weight))
    output = convolution(x, weight)
    factors = torch.randn(output.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (output * factors.to(output.dtype)).sum().backward()
    assert x.grad is not None and weight.grad is not None
    return [output.detach(), x.grad, weight.grad]


def _inputs(taps: int, num_frames: int, height: int, width: int, *, channels: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, channels, num_frames, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(channels + 1, channels, taps, 3, 3, generator=generator, dtype=torch.float64)
    return x.to(memory_format=torch.channels_last_3d), weight


def _largest_difference(found: list[Tensor], expected: list[Tensor]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)


@pytest.mark.parametrize(("taps", "num_frames"), [(1, 1), (1, 5), (3, 1), (3, 2), (3, 3), (3, 4)])
@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 3), (4, 4), (8, 8), (5, 7), (2, 13), (16, 6)])
def test_tiles_give_the_numbers_and_gradients_of_a_plain_convolution(
    taps: int, num_frames: int, height: int, width: int
) -> None:
    inputs = _inputs(taps, num_frames, height, width)
    found, expected = (_with_gradients(convolution, *inputs) for convolution in (tiled_conv3d, _plain))
    assert _largest_difference(found, expected) < 1e-11


@pytest.mark.parametrize(("taps", "side"), [(1, 16), (3, 8), (3, 4), (3, 2)])
def test_rounding_stays_small_in_single_precision(taps: int, side: int) -> None:
    x, weight = _inputs(taps, 3, side, side, channels=64)
    expected = _with_gradients(_plain, x, weight)
    found = _with_gradients(tiled_conv3d, x.float(), weight.float())
    assert _largest_difference([tensor.double() for tensor in found], expected) < 2e-5


def test_many_clips_are_taken_in_parts_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = _inputs(1, 2, 6, 6)
    whole = _with_gradients(tiled_conv3d, x, weight)
    monkeypatch.setattr("cocon.training.models.winograd._CHUNK", 1)
    assert _largest_difference(_with_gradients(tiled_conv3d, x, weight), whole) < 1e-12


def test_inputs_of_another_memory_format_are_taken_too() -> None:
    x, weight = _inputs(3, 2, 4, 4)
    assert torch.allclose(tiled_conv3d(x.contiguous(), weight), tiled_conv3d(x, weight))


def _kept_bytes(work: Callable[[], Tensor], of_weights: set[int]) -> int:
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in of_weights:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = work()
    assert output.requires_grad
    return sum(kept.values())


def test_a_training_step_takes_tiles_where_there_are_many_channels_and_keeps_the_input_alone() -> None:
    conv = nn.Conv3d(64, 64, 3, padding=1, bias=False).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
    x = torch.randn(40, 64, 2, 8, 8).to(memory_format=torch.channels_last_3d).requires_grad_()
    kept = _kept_bytes(lambda: convolved(conv, x), {conv.weight.data_ptr()})
    transformed_kernels = 36 * 3 * 64 * 64 * 4
    assert kept < x.nbytes + 1.2 * transformed_kernels
    trained = convolved(conv, x)
    assert not torch.equal(trained, conv(x)) and torch.allclose(trained, conv(x), atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(convolved(conv, x), conv(x))


class _Other(nn.Conv3d):
    """A convolution that is not what its shapes say."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv3d(64, 64, 3, padding=1, bias=False).eval(),
        nn.Conv3d(64, 64, 3, stride=2, padding=1, bias=False),
        nn.Conv3d(64, 64, 3, padding=(1, 0, 0), bias=False),
        nn.Conv3d(64, 64, 3, padding=1, groups=2, bias=False),
        nn.Conv3d(64, 64, 3, padding=(1, 2, 2), dilation=(1, 2, 2), bias=False),
        nn.Conv3d(64, 64, (1, 7, 7), padding=(0, 3, 3), bias=False),
        nn.Conv3d(64, 4, 3, padding=1, bias=False),
        nn.Conv3d(64, 64, 3, padding=1),
        nn.Conv3d(64, 64, 3, padding=1, bias=False, padding_mode="circular"),
        _Other(64, 64, 3, padding=1, bias=False),
    ],
)
def test_all_other_convolutions_are_left_as_they_are(conv: nn.Conv3d) -> None:
    x = torch.randn(2, 64, 3, 8, 8)
    assert torch.equal(convolved(conv, x), conv(x))
