"""What goes together is found before anything is touched."""

from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.embedding.config_files import PREVIOUS_KEY
from cocon.embedding.repository import CONFIG_FILE
from cocon.serving.rollout.plan import RolloutPlan, models_of, promotion, return_to_previous
from tests.serving.rollout.conftest import add_encoder, add_ensemble, add_versions, configured


def carried_out(repository: Path, plan: RolloutPlan) -> dict[str, int]:
    """Have the configurations say what a plan says."""
    for name, version in plan.targets.items():
        plan.models[name].write(current=version, served={version}, previous=plan.previous(name))
    return dict(plan.targets)


def pinned(repository: Path) -> Path:
    """The same, with the first version chosen."""
    for model in models_of(repository).values():
        model.write(current=1, served={1})
    return repository


def test_the_newest_of_all_and_back(repository: Path) -> None:
    add_versions(pinned(repository), 2)
    models = models_of(repository)
    assert [(name, model.current, model.newer) for name, model in models.items()] == [
        (name, 1, (2,)) for name in ("cocon", "cocon_flow", "cocon_rgb")
    ]
    assert carried_out(repository, promotion(models, ["all"])) == {"cocon_flow": 2, "cocon_rgb": 2, "cocon": 2}
    assert configured(repository, "cocon_rgb", PREVIOUS_KEY) == ([2], "1")
    assert promotion(models_of(repository), ["all"]).targets == {}
    assert carried_out(repository, return_to_previous(models_of(repository), ["all"])) == {
        "cocon_flow": 1,
        "cocon_rgb": 1,
        "cocon": 1,
    }
    assert configured(repository, "cocon_rgb", PREVIOUS_KEY) == ([1], None)
    with pytest.raises(UsageError, match="nothing was promoted that could be rolled back"):
        return_to_previous(models_of(repository), ["all"])
    with pytest.raises(UsageError, match="what model 'cocon_rgb' was before"):
        return_to_previous(models_of(repository), ["cocon_rgb"])


def test_who_calls_others_brings_them_and_follows_them(repository: Path) -> None:
    add_versions(pinned(repository), 2)
    add_encoder(repository, "rgb", 3)
    models = models_of(repository)
    assert promotion(models, ["cocon"]).targets == {"cocon_flow": 2, "cocon_rgb": 2, "cocon": 2}
    assert promotion(models, ["cocon_rgb", "cocon_flow"], version=2).targets == {
        "cocon_flow": 2,
        "cocon_rgb": 2,
        "cocon": 2,
    }
    with pytest.raises(UsageError, match=r"no version of 'cocon' calls version 2 of 'cocon_rgb' with the rest"):
        promotion(models, ["cocon_rgb"], version=2)
    with pytest.raises(UsageError, match=r"no version of 'cocon' calls version"):
        promotion(models, ["all"])  # nothing calls the third
    add_ensemble(repository, 5, 2)
    assert promotion(models_of(repository), ["all"], version=2).targets["cocon"] == 5  # the newest that fits


def test_what_is_not_there_is_refused(repository: Path) -> None:
    models = models_of(repository)
    with pytest.raises(UsageError, match=r"there is no model 'cocon_pose'; there are: cocon, cocon_flow, cocon_rgb"):
        promotion(models, ["cocon_pose"])
    with pytest.raises(UsageError, match=r"model 'cocon_rgb' has no version 7; there are: 1"):
        promotion(models, ["cocon_rgb"], version=7)
    with pytest.raises(UsageError, match=r"no model has a version 7"):
        promotion(models, ["all"], version=7)
    with pytest.raises(UsageError, match="make one with 'cocon export'"):
        models_of(repository / "gone")


def test_a_version_that_was_deleted_is_no_longer_served(repository: Path) -> None:
    add_versions(repository, 2)
    path = repository / "cocon_rgb" / CONFIG_FILE
    with path.open("a") as file:
        file.write("version_policy { specific { versions: 7 versions: 1 } }\n")
        file.write('parameters { key: "current_version" value { string_value: "7" } }\n')
    model = models_of(repository)["cocon_rgb"]
    assert (model.current, model.served, model.previous) == (1, (1,), 0)
