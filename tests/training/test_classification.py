"""The classifier: frozen leaves the encoder alone, fine-tuning does not, labels are sorted and optional."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cocon.training.checkpoint import load_encoder
from cocon.training.config import Config

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]

LABELS = ("arm circle", "arm swing", "bow", "clap overhead", "jump", "jumping jack")


@pytest.fixture(scope="module")
def unlabelled(tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pre-training as that of `trained`, without a classifier."""
    run = tmp_path_factory.mktemp("runs") / "unlabelled"
    train_tiny(tiny_config("classifier.head=none"), run)
    return run


def _encoder_tensors(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in weights.items() if ".classifier." not in name}


def _clips() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 2, 24, 24, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def _relabel(folder: Path, label_of: Callable[[int, str], str]) -> None:
    with (folder / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"label": label_of(index, row["label"])} for index, row in enumerate(rows))


def test_a_frozen_encoder_keeps_every_bit_and_its_fingerprint_while_logits_appear(
    trained: Path, unlabelled: Path, weights_of: WeightsOf
) -> None:
    before, after = weights_of(unlabelled), _encoder_tensors(weights_of(trained))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    (plain, plain_contract), (labelled, contract) = load_encoder(unlabelled, "rgb"), load_encoder(trained, "rgb")
    assert contract.fingerprint == plain_contract.fingerprint
    with torch.no_grad():
        without, with_labels = plain(_clips()), labelled(_clips())
    assert without.logits is None
    assert with_labels.logits.shape == (2, len(LABELS))
    assert torch.equal(without.embedding, with_labels.embedding)


def test_fine_tuning_changes_the_encoder_and_its_fingerprint(
    unlabelled: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    train_tiny(tiny_config("classifier.mode=finetune"), tmp_path)
    before, after = weights_of(unlabelled), _encoder_tensors(weights_of(tmp_path))
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith(("weight", "var")))
    assert load_encoder(tmp_path, "rgb")[1].fingerprint != load_encoder(unlabelled, "rgb")[1].fingerprint


def test_the_papers_recurrent_head_is_trained_and_read_back(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    train_tiny(tiny_config("classifier.head=gru"), tmp_path)
    encoder, contract = load_encoder(tmp_path, "rgb")
    assert contract.encoder.classifier == "gru"
    assert encoder.classifier is not None
    assert any("aggregator" in name for name, _ in encoder.classifier.named_parameters())
    with torch.no_grad():
        assert torch.isfinite(encoder(_clips()).logits).all()


def test_the_contract_names_the_training_labels_in_order(trained: Path) -> None:
    for view in ("rgb", "pose"):
        contract = load_encoder(trained, view)[1]
        assert contract.labels == LABELS == tuple(sorted(LABELS))
        assert contract.output_shapes["logits"] == (len(LABELS),)
    assert json.loads((trained / "complete.json").read_text())["labels"] == list(LABELS)


def test_a_classifier_learns_the_training_videos(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    still = ["augment.crop_scale=[1.0, 1.0]", "augment.gain=0.0", "clip.stride_jitter=[1.0, 1.0]"]
    length = ["training.epochs=1", "training.batch_size=6", "classifier.epochs=40", "classifier.learning_rate=0.05"]
    config = tiny_config("views=['pose']", "model.width=8", *still, *length)
    train_tiny(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["phase"] == "classify"]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_videos_without_labels_give_encoders_without_logits(
    figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    _relabel(figures_copy, lambda index, label: "")
    train_tiny(tiny_config(f"data.folder={figures_copy}"), tmp_path / "run")
    encoder, contract = load_encoder(tmp_path / "run", "rgb")
    assert (encoder.classifier, contract.labels, contract.encoder.classifier) == (None, (), "none")


def test_where_only_some_videos_have_labels_all_are_pre_trained_on_and_the_journal_is_whole(
    figures_copy: Path, unlabelled: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    _relabel(figures_copy, lambda index, label: label if index in (1, 3) else "")
    train_tiny(tiny_config(f"data.folder={figures_copy}"), tmp_path / "run")
    _, contract = load_encoder(tmp_path / "run", "rgb")
    assert contract.labels == ("arm swing", "clap overhead")
    assert contract.fingerprint == load_encoder(unlabelled, "rgb")[1].fingerprint
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["step"]) for line in lines] == [
        ("pretrain", 3),
        ("pretrain", 6),
        ("classify", 7),
        ("classify", 8),
    ]
