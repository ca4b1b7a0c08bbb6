"""The model that takes whole videos: there when it is wanted, and from then on in step with its encoders."""

import shutil
from pathlib import Path

import pytest

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import parameter, read_config, steps_of
from cocon.embedding.fusion import EQUAL_WEIGHTS
from cocon.embedding.repository import CONFIG_FILE, latest_version
from cocon.embedding.videos.call_record import VIDEO_FILE, VIDEO_MODEL, CallRecord
from cocon.export.models.video import call_record, video_limits
from cocon.export.publishing import export_encoders
from cocon.export.repository.deployment import Deployment
from cocon.export.sources import ExportOptions
from cocon.serving.checking.repository_check import check_served
from cocon.video.decoding.limits import MediaLimits
from tests.export.conftest import MakeSource

WANTED = ExportOptions(video=("max_seconds=60",))


@pytest.fixture
def repository(two_views: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(two_views, tmp_path / "model_repository"))


def exported(repository: Path) -> CallRecord:
    path = repository / VIDEO_MODEL / str(latest_version(repository / VIDEO_MODEL)) / VIDEO_FILE
    return CallRecord.from_json(path.read_text())


def test_it_is_made_on_demand_and_follows_its_encoders(repository: Path, make_source: MakeSource) -> None:
    pair = [make_source("rgb"), make_source("flow", seed=1)]
    assert VIDEO_MODEL not in [row.model for row in export_encoders(pair, repository, ExportOptions())]
    rows = export_encoders(pair, repository, WANTED)
    assert [row.model for row in rows if row.is_new] == [VIDEO_MODEL]
    assert (rows[-1].embedding_dim, rows[-1].num_labels) == (2 * pair[0].contract.embedding_dim, 3)
    first = exported(repository)
    assert {view: (each.model, each.version) for view, each in first.encoders.items()} == {
        "flow": ("cocon_flow", 1),
        "rgb": ("cocon_rgb", 1),
    }
    assert first.fusion.fingerprint == first.from_json(first.to_json()).fusion.fingerprint
    assert not any(row.is_new for row in export_encoders(pair, repository, ExportOptions()))
    # Another rgb, and nobody says that there is a model that calls it.
    rows = export_encoders(
        [make_source("rgb", seed=7)], repository, ExportOptions(deployment=Deployment(num_threads=4))
    )
    assert {row.model: row.version for row in rows if row.is_new}[VIDEO_MODEL] == 2
    config = read_config(repository / VIDEO_MODEL / CONFIG_FILE)
    assert steps_of(config, 1) == {"cocon_flow": 1, "cocon_rgb": 1}
    assert steps_of(config, 2) == {"cocon_flow": 1, "cocon_rgb": 2}
    assert parameter(config, "video.2") == exported(repository).to_json()
    assert parameter(config, "limits") == "max_bytes=536870912 max_seconds=60"
    assert config.instance_group[0].count == 4
    check_served(repository)
    assert "`cocon_rgb` version 2" in (repository / VIDEO_MODEL / "README.md").read_text()


def test_views_that_no_video_can_give_are_not_among_its(make_source: MakeSource) -> None:
    contracts = [make_source(view).contract for view in ("depth", "rgb")]
    versions = {"cocon_depth": 1, "cocon_rgb": 3}
    record = call_record(contracts, versions, EQUAL_WEIGHTS, frozenset({"block_logits_rgb"}))
    assert {view: (each.version, each.outputs) for view, each in record.encoders.items()} == {
        "rgb": (3, ("embedding", "blocks", "logits"))
    }
    assert not call_record(contracts[:1], versions, EQUAL_WEIGHTS).encoders


@pytest.mark.parametrize("damage", ["{}", "no JSON", '{"encoders": {}, "weights": {}, "max_batch_size": 1}'])
def test_a_damaged_record_is_said(damage: str) -> None:
    with pytest.raises(MismatchError, match=r"^'video.json' is no record of a video model: .*; export again$"):
        CallRecord.from_json(damage, source="'video.json'")


def test_limits_stay_until_others_are_given(repository: Path, make_source: MakeSource) -> None:
    sources = [make_source("rgb"), make_source("flow", seed=1)]

    def limits_after(*settings: str) -> MediaLimits:
        export_encoders(sources, repository, ExportOptions(video=settings))
        return MediaLimits.parse(str(parameter(read_config(repository / VIDEO_MODEL / CONFIG_FILE), "limits")).split())

    assert limits_after("max_seconds=60", "max_pixels=99") == MediaLimits(512 << 20, max_seconds=60, max_pixels=99)
    assert limits_after() == MediaLimits(512 << 20, max_seconds=60, max_pixels=99)
    assert limits_after("max_bytes=5", "max_seconds=70") == MediaLimits(5, max_seconds=70, max_pixels=99)


def test_limits_are_those_that_were_given_and_else_its_own() -> None:
    assert MediaLimits.parse(video_limits().split()) == MediaLimits(max_bytes=512 << 20, max_seconds=7200)
    assert MediaLimits.parse(video_limits(["max_bytes=5"]).split()) == MediaLimits(max_bytes=5, max_seconds=7200)
    with pytest.raises(UsageError, match="limit 'max_size=5' must be NAME=NUMBER"):
        video_limits(["max_size=5"])
