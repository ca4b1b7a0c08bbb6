"""A training that the guard has acted on goes on after a stop as if there had been none."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cocon.training.config.run import Config
from cocon.training.loop.run import train_run
from cocon.training.run_folder.files import RunFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]
# So high that networks which are sound are below it now and then.
ALARM, STEPS, STOPPED_AT = 0.975, 32, 21


@contextmanager
def _bar_that_stops(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
    asked = (description, STOPPED_AT)
    yield lambda done, total: signal.raise_signal(signal.SIGINT) if (description, done) == asked else None


def test_a_stop_leaves_no_trace_of_itself(
    tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    settings = ["training.batch_size=4", f"training.steps={STEPS}", "classifier.head=none", "loss.sync=100"]
    config = tiny_config(*settings, f"training.collapse_alarm={ALARM}", "optimizer.learning_rate=0.01")
    assert train_tiny(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path / "stopped", overwrite=False, progress_bar=_bar_that_stops)
    state = RunFolder.open(tmp_path / "stopped").state()
    assert state is not None and state["step"] == STOPPED_AT and state["guard"]["events"]
    assert train_tiny(config, tmp_path / "stopped")
    weights, expected = weights_of(tmp_path / "stopped"), weights_of(tmp_path / "whole")
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    health, wanted = (
        json.loads((tmp_path / run / "complete.json").read_text())["health"] for run in ("stopped", "whole")
    )
    assert health == wanted and len(health["events"]) >= 1
