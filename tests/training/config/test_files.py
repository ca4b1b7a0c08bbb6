"""Configurations: presets, overrides, and what is said about wrong ones."""

import os
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from cocon.core.errors import UsageError
from cocon.training.config.files import load_config, path_setting, preset_names
from cocon.training.config.run import Config
from cocon.training.figures.settings import FigureSettings
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry


def _problem(*overrides: str, preset: str = "figures") -> str:
    with pytest.raises(UsageError) as caught:
        load_config(preset, overrides)
    return str(caught.value)


@pytest.mark.parametrize("preset", preset_names())
def test_a_preset_loads_and_its_toml_reads_back_equal(preset: str, tmp_path: Path) -> None:
    config = load_config(preset)
    (tmp_path / "config.toml").write_text(config.to_toml())
    assert load_config(str(tmp_path / "config.toml")) == config


def test_the_presets_are_those_the_readme_names() -> None:
    assert preset_names() == ("auto", "demo", "paper", "people")


@pytest.mark.parametrize(("before", "now"), [("figures", "demo"), ("utd_mhad", "people")])
def test_presets_are_also_known_by_the_names_they_had(before: str, now: str) -> None:
    assert load_config(before) == load_config(now)


def test_who_says_how_long_a_training_is_means_it(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text("[training]\nsteps = 900\nleast_steps = 500\n")
    by_epochs, by_steps, with_floor = (
        load_config(str(path), overrides).training
        for overrides in (
            ["training.epochs=2"],
            ["training.steps=40"],
            ["training.epochs=2", "training.least_steps=60"],
        )
    )
    assert load_config(str(path)).training.num_steps(10) == 900
    assert [length.num_steps(10) for length in (by_epochs, by_steps, with_floor)] == [20, 40, 60]
    assert load_config("people", ["training.seed=3"]).training.num_steps(2) == 300
    assert load_config(str(path), ["training.epochs=0"]).training.num_steps(10) == 0


def test_every_overridden_value_survives_the_toml() -> None:
    overrides = [
        "views=['rgb', 'mask']",
        "data.folder=some folder/with 'quotes'",
        "clip.stride_jitter=[0.9, 1.1]",
        "method=cpc+sim",
        "loss.temperature_twice=true",
        "augment.crop_scale=[0.5, 0.75]",
        "view.rgb.crop_px=40",
        "training.seed=7",
    ]
    config = load_config("figures", overrides)
    assert Config.model_validate(tomllib.loads(config.to_toml())) == config
    assert config.data.folder == Path("some folder/with 'quotes'")
    assert config.method == "cpc+sim"
    assert config.clip.stride_jitter == (0.9, 1.1)
    assert config.views == ("rgb", "mask")
    assert config.geometry("rgb") == Geometry(56, 40)


def test_steps_in_frames_replace_those_in_seconds_and_survive_the_toml() -> None:
    config = load_config("figures", ["clip.step_frames=3"])
    assert config.clip.spec() == ClipSpec(6, 4, step_seconds=None, step_frames=3)
    assert Config.model_validate(tomllib.loads(config.to_toml())) == config


def test_views_are_also_known_by_their_names_in_the_papers_code() -> None:
    config = load_config("paper", ["views=['imgs', 'kphm']", "view.kphm.resize_px=40", "view.kphm.crop_px=32"])
    assert config.views == ("rgb", "pose")
    assert config.geometry("pose") == Geometry(40, 32)


def test_a_view_without_its_own_section_is_cropped_out_of_eight_sevenths_of_its_size() -> None:
    config = load_config("paper")
    assert config.geometry("rgb") == Geometry(146, 128)
    assert config.geometry("mask") == Geometry(73, 64)


def test_only_the_flow_view_has_a_flow_section() -> None:
    config = load_config("figures", ["flow.interval_seconds=0.1"])
    assert config.flow_spec("flow") == FlowSpec(0.1, "dis", 64)
    assert config.flow_spec("rgb") is None
    assert load_config("paper", ["flow.algorithm=tvl1"]).flow_spec("flow") == FlowSpec(1 / 15, "tvl1", 128)


def test_the_figures_preset_wants_flow_at_the_size_that_figures_store_it() -> None:
    assert load_config("figures").flow.size_px == FigureSettings().view_size_px


def test_an_unknown_key_is_named_with_the_nearest_known_one() -> None:
    assert "training.epoch is unknown; did you mean 'training.epochs'?" in _problem("training.epoch=3")
    assert "trainings is unknown; did you mean 'training'?" in _problem("trainings.epochs=3")
    assert "view.rgb.crop_pixels is unknown; did you mean 'view.rgb.crop_px'?" in _problem("view.rgb.crop_pixels=3")


def test_an_unknown_view_is_named_wherever_it_stands() -> None:
    assert "view 'heat' is unknown; known views: rgb, flow, pose, mask, depth" in _problem("views=['rgb', 'heat']")
    assert "view 'heat' is unknown" in _problem("view.heat.crop_px=8", "view.heat.resize_px=8")


def test_all_problems_are_reported_together() -> None:
    message = _problem("training.epochs=-1", "model.depth=resnet99", "loss.tau=1", "optimizer.learning_rate=fast")
    for part in ("training.epochs (-1)", "resnet99", "resnet18", "loss.tau is unknown", "learning_rate (fast)"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("views=[]", "at least one view"),
        ("views=['rgb', 'imgs']", "each once"),
        ("view.rgb.crop_px=64", "crop_px (64) <= resize_px (56)"),
        ("clip.step_seconds=0", "clip.step_seconds (0)"),
        ("clip.stride_jitter=[1.2, 0.8]", "clip.stride_jitter"),
        ("clip.stride_jitter=[0.0, 1.0]", "clip.stride_jitter"),
        ("augment.crop_scale=[0.5, 1.5]", "augment.crop_scale"),
        ("augment.crop_scale=[0.9, 0.5]", "augment.crop_scale"),
        ("method=cocoon", "'cocon', 'cpc', 'cpc+sim', 'cpc+sync', 'vicc', 'vclr' or 'cycle'"),
        ("flow.algorithm=raft", "'dis', 'tvl1' or 'farneback'"),
        ("flow.size_px=15", "flow.size_px (15)"),
        ("flow.interval_seconds=inf", "flow.interval_seconds (inf)"),
        ("training=5", "training (5)"),
    ],
)
def test_a_value_that_training_could_not_use_is_refused_at_once(override: str, named: str) -> None:
    assert named in _problem(override)


@pytest.mark.parametrize("num_predicted", [6, 7])
def test_some_blocks_must_be_left_for_the_context(num_predicted: int) -> None:
    message = _problem(f"model.num_predicted={num_predicted}")
    assert f"model.num_predicted ({num_predicted}) must be less than clip.num_blocks (6)" in message
    assert load_config("figures", ["model.num_predicted=5"]).model.num_predicted == 5


def test_the_method_of_an_earlier_run_is_understood(tmp_path: Path) -> None:
    text = load_config("figures", ["method=cpc+sync"]).to_toml()
    assert text.startswith('method = "cpc+sync"\n')
    earlier = tmp_path / "config.toml"
    earlier.write_text(text.partition("\n")[2].replace("[loss]\n", '[loss]\nlosses = "cpc+sync"\n'))
    assert load_config(str(earlier)) == load_config("figures", ["method=cpc+sync"])


def test_a_file_says_what_differs_for_a_method(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[clip]\nnum_blocks = 6\n[for.vicc.clip]\nframes_per_block = 8\nnum_blocks = 4\n")
    assert load_config(str(path)).clip.num_blocks == 6
    vicc = load_config(str(path), ["method=vicc", "clip.num_blocks=5"]).clip
    assert (vicc.num_blocks, vicc.frames_per_block) == (5, 8)
    path.write_text('[for."vclr vicc".clip]\nnum_blocks = 4\n[for.vicc.clip]\nnum_blocks = 3\n')
    assert [load_config(str(path), [f"method={m}"]).clip.num_blocks for m in ("cpc", "vicc")] == [8, 3]
    assert (
        load_config(str(path), ["method=vclr", "model.backbone=resnet2d", "clip.frames_per_block=1"]).clip.num_blocks
        == 4
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("for = 3", "'for' is a value, not a section"),
        ("[for]\nvclr = 3", "'for.vclr' is a value, not a section"),
        ('[for."vclr cylce".clip]', "method 'cylce' of table 'for' is unknown; available: cocon, cpc"),
    ],
)
def test_what_a_file_says_wrong_for_a_method_is_told(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    assert problem in _problem(preset=str(path))


@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        (["method=vclr", "model.backbone=resnet2d3d"], "set model.backbone=resnet2d and clip.frames_per_block=1"),
        (["method=cycle", "model.backbone=resnet2d", "clip.frames_per_block=2"], "must be 1, not 2"),
        (["method=vicc", "views=['flow']"], "views has flow alone: name two, or set vicc.cycles=0"),
        (["method=vicc", "augment.drawn_per=clip"], "leave augment.drawn_per=block"),
        (["method=vicc", "clip.sampler=disjoint"], "and clip.sampler=dynamic"),
        (["cycle.num_neighbours=9", "cycle.cycle_queue_size=9"], "cycle.num_neighbours (9) must be less than"),
        (["model.depth=resnet50"], "'resnet50' is unknown for backbone 'resnet2d3d'; available: resnet10, resnet18"),
        (["model.depth=resnet11"], "'resnet11' is unknown"),
    ],
)
def test_a_method_that_cannot_do_with_what_it_is_given_says_what_it_needs(overrides: list[str], rule: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_config("figures", overrides)
    assert rule in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_override_without_a_value_or_below_a_value_is_refused() -> None:
    assert "override 'training.epochs' must be section.key=value" in _problem("training.epochs")
    assert "override '=3' must be section.key=value" in _problem("=3")
    assert "'views' is a value, not a section" in _problem("views.rgb=3")


def test_an_unknown_preset_lists_the_known_ones() -> None:
    known = "available: auto, demo, paper, people"
    assert _problem(preset="poeple") == f"preset 'poeple' is unknown; {known}; did you mean 'people'?"
    assert _problem(preset="mine") == f"preset 'mine' is unknown; {known}"


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    assert "none.toml' cannot be read" in _problem(preset=str(tmp_path / "none.toml"))
    (tmp_path / "broken.toml").write_text("views = [")
    assert "broken.toml' cannot be read" in _problem(preset=str(tmp_path / "broken.toml"))


def test_a_file_may_begin_with_a_byte_order_mark_and_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    for encoding, end in (("utf-8-sig", "\r\n"), ("utf-16", "\r"), ("utf-8", "\n")):
        path.write_bytes(f"[data]{end}folder = 'dätä'{end}".encode(encoding))
        assert load_config(str(path)).data.folder == Path("dätä")
    path.write_bytes("[data]\nfolder = 'dätä'\n".encode("latin-1"))
    assert "run.toml' line 2 is not UTF-8 (byte 0xe4); save it as UTF-8" in _problem(preset=str(path))


@pytest.mark.parametrize(
    "name", [b"emo\xf0\x9f\x98\x80", b"caf\xe9", rb"caf\xe9", b"2024", b"\x7f\n\"'\\ \x1b", b"true"]
)
def test_a_folder_is_set_and_kept_whatever_it_is_called(name: bytes, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(name))
    config = load_config("figures", [path_setting("data.folder", folder), path_setting("training.init_from", folder)])
    assert config.data.folder == config.training.init_from == folder
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert load_config(str(tmp_path / "config.toml")) == config


def test_a_configuration_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        load_config("figures").training.epochs = 3
