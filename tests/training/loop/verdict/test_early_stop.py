"""Stopping early: after so many probes without a gain, not before the floor, with the encoders that were best."""

import math

import pytest
import torch
from lightning_fabric import Fabric

from cocon.embedding.contract import EncoderSpec
from cocon.training.loop.verdict.early_stop import EarlyStop
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import view_named

FABRIC = Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def encoders() -> dict[str, Encoder]:
    """One small encoder."""
    return {"rgb": build_encoder(EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4, "none"), view_named("rgb"), num_classes=0)}


def _probed(stop: EarlyStop, figures: list[float], encoders: dict[str, Encoder]) -> list[bool]:
    """After each probe, whether it is due; the weights of a probe are all its number."""
    due = []
    for epoch, figure in enumerate(figures, start=1):
        with torch.no_grad():
            for parameter in encoders["rgb"].parameters():
                parameter.fill_(epoch)
        found = {"probe_top1/rgb": figure, "R@1/rgb": figure + 2, "R@5/rgb": 100.0 - figure}
        stop.seen(found, encoders, epoch=epoch, step=10 * epoch)
        due.append(stop.is_due)
    return due


def _weight(encoders: dict[str, Encoder]) -> float:
    return float(next(encoders["rgb"].parameters()).detach().flatten()[0])


def test_it_is_due_after_so_many_probes_without_a_gain_and_keeps_the_best(encoders: dict[str, Encoder]) -> None:
    stop = EarlyStop(patience=2, least_steps=0)
    assert _probed(stop, [40.0, 50.0, 45.0, 50.0], encoders) == [False, False, False, True]
    line = stop.restore_best(encoders, FABRIC)
    assert line == (
        "the encoders of epoch 2 are kept: 51.0 % top1 and R@1 on average, and 2 probes later found no better ones"
    )
    assert _weight(encoders) == 2 and stop.kept_step == 20


def test_it_is_never_due_before_the_floor_nor_without_patience(encoders: dict[str, Encoder]) -> None:
    assert _probed(EarlyStop(1, least_steps=35), [9.0, 8.0, 7.0, 6.0], encoders) == [False, False, False, True]
    never = EarlyStop(0, least_steps=0)
    assert not any(_probed(never, [9.0, 8.0, 7.0], encoders))
    assert never.restore_best(encoders, FABRIC) == "" and _weight(encoders) == 3


def test_the_last_encoders_stay_where_they_are_the_best(encoders: dict[str, Encoder]) -> None:
    stop = EarlyStop(1, least_steps=99)
    _probed(stop, [9.0, 8.0, 10.0], encoders)
    assert stop.restore_best(encoders, FABRIC) == "" and _weight(encoders) == 3 and stop.kept_step is None
    stop.seen({"probe_top1/rgb": math.nan}, encoders, epoch=4, step=400)
    assert not stop.is_due  # what is no figure is no probe without a gain


def test_what_it_remembers_goes_on_with_a_checkpoint(encoders: dict[str, Encoder]) -> None:
    first, second = EarlyStop(2, 0), EarlyStop(2, 0)
    _probed(first, [50.0, 40.0], encoders)
    second.restore({})  # of an earlier release
    second.restore(first.state())
    second.seen({"probe_top1/rgb": 30.0}, encoders, epoch=3, step=30)
    assert second.is_due
    assert second.kept_step == 10
    second.restore_best(encoders, FABRIC)
    assert _weight(encoders) == 1
