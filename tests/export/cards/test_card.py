"""Model cards: front matter that a hub can read, figures that are the model's, and no path of this machine."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cocon.core.errors import MismatchError
from cocon.embedding.config_files import parameter, read_config
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.repository import ONNX
from cocon.export.artefacts.parity import Parity
from cocon.export.cards.card import cell, code, plain
from cocon.export.cards.record import TrainingRecord, training_of_run
from cocon.export.cards.texts import encoder_card, run_card
from cocon.export.publishing import export_encoders
from cocon.export.repository.stage import Exported
from cocon.export.sources import ExportOptions, ViewSource
from cocon.training.config.run import Config
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.length import TrainedLength
from cocon.training.run_folder.ownership import claim_run

pytestmark = pytest.mark.training

MakeSource = Callable[..., ViewSource]
LABELS = ("wave", "jump", "turn")
ROWS = [
    {"method": "random", "view": "flow", "probe_top1": 11.25, "R@1": 9.5, "gallery_size": 480},
    {"method": "cocon", "view": "flow", "probe_top1": 97.75, "R@1": 96.5, "gallery_size": 480},
    {"method": "cocon", "view": "rgb", "probe_top1": 60.25, "R@1": 51.0, "gallery_size": 480},
    {"method": "cocon", "view": "ensemble", "probe_top1": 99.5, "R@1": 92.5, "gallery_size": 480},
    {"method": "cocon", "view": "ensemble_learned", "probe_top1": 99.9, "weight_probe_rgb": 0.1},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A complete and judged run, but for its weights; its data and the run it started from lie in private folders."""
    folder = tmp_path / "run"
    folder.mkdir()
    config = Config.model_validate(
        {
            "views": ["rgb", "flow"],
            "data": {"folder": str(tmp_path / "secret" / "gym")},
            "training": {"init_from": str(tmp_path / "secret" / "earlier"), "epochs": 7, "seed": 5},
        }
    )
    (folder / "config.toml").write_text(config.to_toml())
    (folder / "complete.json").write_text(json.dumps({"videos": 1480, "failed": {}, "labels": [], "minutes": 4.7}))
    (folder / "evaluation.json").write_text(json.dumps(ROWS))
    return folder


def front_matter(card: str) -> dict[str, Any]:
    _, header, _ = card.split("---\n", 2)
    content = yaml.safe_load(header)
    assert isinstance(content, dict)
    return content


def cells(card: str) -> list[list[str]]:
    """Rows of all tables."""
    return [[cell.strip() for cell in line.split(" | ")] for line in card.splitlines() if line.startswith("| ")]


def card_of(contract: ModelContract, training: TrainingRecord | None) -> str:
    parity = Parity(0.999991, 2e-6, (1, 16))
    exported = Exported(f"cocon_{contract.view}", 3, True, contract.embedding_dim, 3, 10_000, "ab" * 32, parity)
    return encoder_card(contract, ONNX, training, exported)


def test_residual_blocks_are_counted_where_there_are_any(make_source: MakeSource) -> None:
    contract = make_source().contract
    assert ["encoder", "resnet2d3d, 1 + 1 + 1 + 1 residual blocks, width 8"] in _facts(contract)
    assert ["encoder", "s3d, width 8"] in _facts(replace(contract, encoder=EncoderSpec("s3d", (), 8)))


def _facts(contract: ModelContract) -> list[list[str]]:
    return [[part.strip("| ") for part in row] for row in cells(card_of(contract, None))]


def test_every_model_has_a_card_with_front_matter(two_views: Path) -> None:
    models = sorted(path for path in two_views.iterdir() if path.is_dir())
    assert len(models) == 6
    for model in models:
        card = (model / "README.md").read_text()
        assert front_matter(card) == {
            "license": "other",
            "license_name": "set-by-who-trained-it",
            "library_name": "cocon",
            "tags": ["video", "self-supervised-learning", "contrastive-learning", "multi-view", "cocon"],
            "pipeline_tag": "video-classification",
        }
        assert f"\n# {model.name}\n" in card
        sha256 = parameter(read_config(model / "config.pbtxt"), "sha256.1")
        assert f"| sha256 of the file | `{sha256}` |" in card
        assert "Set by who trained it." in card
        assert str(two_views.parent) not in card


@pytest.mark.parametrize("name", ["cocon_flow", "cocon_flow_torchscript"])
def test_an_encoders_card_says_what_its_contract_and_its_gate_say(
    two_views: Path, make_source: MakeSource, name: str
) -> None:
    card = (two_views / name / "README.md").read_text()
    contract = make_source("flow", seed=1).contract
    for fact in (
        f"| fingerprint | `{contract.fingerprint}` |",
        f"| weights sha256 | `{contract.weights_sha256}` |",
        "| clip | 2 blocks of 4 frames, one frame every 0.1 s, so a clip covers 0.8 s |",
        "| geometry | short side resized to 32 px, the middle 32 × 32 px cut out |",
        "| flow | displacement over 0.0667 s, by dis at a short side of 128 px |",
        "| `clip` | uint8 [B, 2, 4, 32, 32, 2] |",
        f"float32 [B, {contract.embedding_dim}]",
        "Labels, in the order of the classes: wave, jump, turn.",
    ):
        assert fact in card
    parity = Parity.from_json(parameter(read_config(two_views / name / "config.pbtxt"), "parity.1") or "")
    assert f"cosine at least {parity.min_cosine:.6f}, largest difference {parity.max_abs_difference:.1e}" in card
    outputs = [output.name for output in read_config(two_views / name / "config.pbtxt").output]
    assert all(f"| `{output}` |" in card for output in outputs)


def test_a_card_tells_how_its_view_was_trained_and_judged(run: Path, make_source: MakeSource) -> None:
    card = card_of(make_source("flow").contract, training_of_run(RunFolder.open(run)))
    assert "Method `cocon`, 7 epochs, seed 5, starting from the run `earlier`." in card
    assert "On top, a classifier of 3 labels for 30 epochs; the encoders stayed as they were." in card
    assert "Data set `gym`, 1,480 videos, 4.7 minutes in all." in card
    recipe = {row[0].removeprefix("| "): row[1] for row in cells(card)}
    assert "temperature 0.07" in recipe["loss"]
    assert "init_from earlier" in recipe["training"]
    assert "secret" not in card
    judged = [row for row in cells(card) if row[0] in ("| random", "| cocon", "| method")]
    assert judged[-3:] == [
        ["| method", "view", "probe_top1", "R@1 |"],
        ["| random", "flow", "11.2", "9.5 |"],
        ["| cocon", "flow", "97.8", "96.5 |"],
    ]


def test_a_card_tells_how_long_it_was_trained_and_what_that_gained(run: Path, make_source: MakeSource) -> None:
    length = TrainedLength(epochs=60, classifier_epochs=50, steps=120, planned_steps=300, ended_by="early_stop")
    (run / "complete.json").write_text(json.dumps({"videos": 80, "labels": [], "length": length.to_dict()}))
    gains = [
        {"over": "untrained", "points": 12.34, "standard_error": 1.8, "is_better": True},
        {"over": "start", "points": -3, "standard_error": 2, "is_better": False},
    ]
    (run / "verdict.json").write_text(json.dumps({"judged_on": "12 <b>videos</b>", "gains": gains}))
    card = card_of(make_source("flow").contract, training_of_run(RunFolder.open(run)))
    assert (
        "Method `cocon`, 60 epochs (120 of 300 steps, the best ones on videos that judge: later ones were no better), "
        "seed 5"
    ) in card
    assert "a classifier of 3 labels for 50 epochs" in card
    assert (
        "At its end, on 12 &lt;b&gt;videos&lt;/b&gt;, which also chose when to stop, probe top-1 and R@1 of all views "
        "on average: +12.3 ± 1.8 points over untrained networks, -3.0 ± 2.0 points over the encoders that it started "
        "from."
    ) in card
    kept = replace(length, epochs=0, steps=0, ended_by="start")
    (run / "complete.json").write_text(json.dumps({"videos": 80, "labels": [], "length": kept.to_dict()}))
    card = card_of(make_source("flow").contract, training_of_run(RunFolder.open(run)))
    assert "Not pre-trained here: `flow` began with the weights of the run `earlier`, method `cocon`." in card
    assert "-3.0 ± 2.0 points over the encoders that it started from; so those were kept, and are these." in card
    (run / "verdict.json").write_text('{"judged_on": "few", "gains": [{"over": "start"}]}')
    with pytest.raises(MismatchError, match=r"verdict\.json' cannot be read \(no verdict: KeyError\('points'\)\)"):
        training_of_run(RunFolder.open(run))


@pytest.mark.parametrize(
    ("settings", "method", "labels", "told", "limit"),
    [
        (
            {"training": {"epochs": 0, "seed": 5}, "classifier": {"mode": "finetune", "epochs": 9}},
            "random",
            LABELS,
            "Not pre-trained: `rgb` began with random weights, seed 5. "
            "Fine-tuned together with a classifier of 3 labels for 9 epochs. Data set `figures`",
            "Learned from `figures` alone",
        ),
        (
            {"training": {"epochs": 0, "init_from": "private/k400"}, "classifier": {"epochs": 9}},
            "cpc",
            LABELS,
            "Not pre-trained here: `rgb` began with the weights of the run `k400`, method `cpc`. "
            "On top, a classifier of 3 labels for 9 epochs; the encoders stayed as they were.",
            "Learned from `figures` and what the run `k400` was trained on alone",
        ),
        (
            {"training": {"epochs": 0}},
            "random",
            (),
            "Not pre-trained: `rgb` began with random weights, seed 0.\n",
            "It has learned nothing",
        ),
    ],
    ids=["fine-tuned from random", "classifier on another run's", "untrained"],
)
def test_a_run_without_pretraining_does_not_claim_any(
    run: Path,
    make_source: MakeSource,
    settings: dict[str, Any],
    method: str,
    labels: tuple[str, ...],
    told: str,
    limit: str,
) -> None:
    (run / "config.toml").write_text(Config.model_validate(settings).to_toml())
    card = card_of(
        replace(make_source("rgb", labels=labels).contract, method=method), training_of_run(RunFolder.open(run))
    )
    assert told in card
    assert limit in card
    assert "| loss |" not in card and "| optimizer |" not in card
    assert "private" not in card


@pytest.mark.parametrize(
    ("generator", "told"),
    [
        ("figures", "(generated figures: their flow, pose and mask are exact, not estimated)"),
        ("untrimmed figures", "(generated figures: their flow, pose and mask are exact, not estimated)"),
        ("street", "(generated figures)"),
    ],
)
def test_labels_that_made_the_encoders_are_told_although_the_classifier_was_left_behind(
    run: Path, make_source: MakeSource, generator: str, told: str
) -> None:
    settings = {"training": {"epochs": 0, "init_from": "a/start"}, "classifier": {"mode": "finetune", "epochs": 9}}
    config = Config.model_validate(
        settings | {"data": {"folder": str(run / "drawn")}, "vectors": {"rgb": {"cells": 2}}}
    )
    (run / "config.toml").write_text(config.to_toml())
    (run / "complete.json").write_text(json.dumps({"videos": 80, "labels": [], "labels_left": 30}))
    (run / "drawn").mkdir()
    (run / "drawn" / "generator.json").write_text(json.dumps({"generator": generator}))
    card = card_of(
        replace(make_source("rgb", labels=()).contract, method="cocon"), training_of_run(RunFolder.open(run))
    )
    assert (
        "began with the weights of the run `start`, method `cocon`. Fine-tuned with the labels of the videos, 30 of "
        f"them, for 9 epochs; the classifier knew other vectors and is not here. Data set `drawn`, 80 videos {told}."
    ) in card
    recipe = {row[0].removeprefix("| "): row[1] for row in cells(card)}
    assert "mode finetune" in recipe["classifier"] and recipe["vectors"] == "rgb cells 2 |"
    assert "Learned from `drawn` and what the run `start` was trained on alone" in card


def test_words_of_others_are_shown_and_not_obeyed(run: Path, make_source: MakeSource) -> None:
    hostile = ("a|b", "<img src=x>", "`rm -rf`", "two\nlines", "# no title", "byte \udcff", "[x](http://y)")
    labels = (*hostile, "brush_hair")
    training = replace(training_of_run(RunFolder.open(run)), data="gym`|`<b>", started_from=None)
    card = card_of(make_source("rgb", labels=labels).contract, training)
    card.encode()  # surrogates are no text
    assert (
        "\nLabels, in the order of the classes: a&#124;b, &lt;img src=x&gt;, \\`rm -rf\\`, two lines, # no title, "
        "byte \\\\xff, \\[x\\](http://y), brush_hair.\n"
    ) in card
    assert "Data set ``gym`|`<b>``, 1,480 videos" in card
    assert front_matter(card)["pipeline_tag"] == "video-classification"


@pytest.mark.parametrize(
    ("text", "shown", "coded"),
    [
        ("a_b _c_", "a_b \\_c\\_", "`a_b _c_`"),
        ("\x1b[31m", "\\\\x1b\\[31m", "`\\x1b[31m`"),
        ("`", "\\`", "`` ` ``"),
        ("a\u2028b\u202e", r"a b\\xe2\\x80\\xae", r"`a b\xe2\x80\xae`"),
        ("&lt; $x$ ~~y~~", "&amp;lt; \\$x\\$ \\~\\~y\\~\\~", "`&lt; $x$ ~~y~~`"),
    ],
)
def test_text_loses_its_meaning_and_nothing_else(text: str, shown: str, coded: str) -> None:
    assert plain(text) == shown
    assert code(text) == coded
    assert cell(shown) == shown


def test_a_runs_card_says_of_each_view_what_is_not_the_same_of_all(run: Path, make_source: MakeSource) -> None:
    rgb, flow = (make_source(view, labels=()).contract for view in ("rgb", "flow"))
    flow = replace(flow, encoder=replace(flow.encoder, width=32, pooling="thirds"), method="supervised")
    training = replace(training_of_run(RunFolder.open(run)), started_from=("a", "b"))
    training = replace(training, length=replace(training.length, epochs=0))
    card = run_card("both", [rgb, flow], training, {})
    rows = dict(row[:2] for row in cells(card))
    assert rows["| `rgb`: encoder"].endswith("width 8 |") and rows["| `flow`: encoder"].endswith("width 32 |")
    assert rows["| `flow`: pooling"].startswith("thirds") and "| `rgb`: pooling" not in rows
    assert "| clip" in rows and "| `rgb`: clip" not in rows
    assert f"weights of the runs `a`, `b`, method `{rgb.method}`, `supervised`." in card
    assert "Learned from what the runs `a`, `b` were trained on;" in card
    alike = dict(row[:2] for row in cells(run_card("alike", [rgb, replace(rgb, view="pose")], training, {})))
    assert alike["| encoder"] == rows["| `rgb`: encoder"] and "| method" in alike


def test_a_licence_is_told_to_hubs_and_to_readers(run: Path, make_source: MakeSource) -> None:
    card = card_of(make_source("rgb").contract, replace(training_of_run(RunFolder.open(run)), license="apache-2.0"))
    assert front_matter(card)["license"] == "apache-2.0"
    assert "license_name" not in front_matter(card)
    assert card.endswith("## Licence\n\nApache License 2.0.\n")


def test_an_encoder_without_classifier_is_for_features(make_source: MakeSource) -> None:
    card = card_of(make_source("mask", labels=()).contract, None)
    assert front_matter(card)["pipeline_tag"] == "feature-extraction"
    assert "classify" not in card


def test_figures_that_come_later_renew_the_cards_and_nothing_else(
    two_views: Path, make_source: MakeSource, run: Path, tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(two_views, tmp_path / "repository"))
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    training = training_of_run(RunFolder.open(run))
    sources = [replace(make_source("rgb"), training=training), replace(make_source("flow", seed=1), training=training)]
    assert not any(model.is_new for model in export_encoders(sources, repository, ExportOptions()))
    changed = {path for path, content in before.items() if path.read_bytes() != content}
    assert changed == {path for path in before if path.name == "README.md"}
    assert "| cocon | rgb | 60.2 | 51.0 |" in (repository / "cocon_rgb" / "README.md").read_text()
    ensemble = (repository / "cocon" / "README.md").read_text()
    assert "| cocon | ensemble | 99.5 | 92.5 |" in ensemble
    assert "ensemble_learned" not in ensemble  # it has no weight of flow, so all views count the same


def test_figures_of_a_run_that_is_replaced_are_forgotten(run: Path) -> None:
    assert training_of_run(RunFolder.open(run)).merits
    claim_run(RunFolder(run, Config()), overwrite=True)
    assert training_of_run(RunFolder.open(run)).merits == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '[{"probe_top1": 1.0}]',
        *(f'[{{"method": "a", "view": "b", "weight_retrieval_rgb": {weight}}}]' for weight in ("0", "NaN", '"1"')),
    ],
)
def test_figures_that_cannot_be_read_are_one_line(run: Path, text: str) -> None:
    (run / "evaluation.json").write_text(text)
    with pytest.raises(MismatchError, match=r"evaluation\.json' cannot be read .*'cocon evaluate .* --json'"):
        training_of_run(RunFolder.open(run))
