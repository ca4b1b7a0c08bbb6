"""What sections of a configuration become as arguments of methods."""

import pytest

from cocon.training.config.learning_sections import LossSection
from cocon.training.methods.building import COOPERATION, loss_weights


def test_each_row_of_the_ablation_leaves_its_terms_out() -> None:
    for method, (has_sim, has_sync) in COOPERATION.items():
        weights = loss_weights(LossSection(sim=3.0, sync=4.0), method)
        assert (weights.sim, weights.sync) == (3.0 * has_sim, 4.0 * has_sync)


def test_the_released_codes_temperature_is_the_square() -> None:
    section = LossSection(temperature=0.1, temperature_twice=True)
    assert loss_weights(section, "cocon").temperature == pytest.approx(0.01)


def test_defaults_are_those_of_the_ablation() -> None:
    weights = loss_weights(LossSection(), "cocon")
    assert (weights.temperature, weights.sim, weights.sync, weights.sync_ramp) == (0.07, 10.0, 10.0, 0.5)
    assert (weights.sim_form, weights.sync_form) == ("balanced", "l1")
