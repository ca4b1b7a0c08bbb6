"""Training a classifier: frozen leaves the encoder alone, fine-tuning does not, labels are sorted and optional."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cocon.core.errors import CoconError
from cocon.embedding.contract import EncoderSpec
from cocon.training.config.learning_sections import ClassifierSection
from cocon.training.config.run import Config
from cocon.training.loop.classifiers.classification import Classification
from cocon.training.loop.classifiers.few_labels import drawn_of_each_class
from cocon.training.models.encoder import build_encoder
from cocon.training.models.heads import GRUClassifier, MeanClassifier
from cocon.training.run_folder.files import RunFolder
from cocon.video.views import VIEWS
from tests.training.relabelling import relabel

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


def test_a_frozen_encoder_keeps_every_bit_and_its_fingerprint_while_logits_appear(
    trained: Path, unlabelled: Path, weights_of: WeightsOf
) -> None:
    before, after = weights_of(unlabelled), _encoder_tensors(weights_of(trained))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    (plain, plain_contract), (labelled, contract) = (
        RunFolder.open(unlabelled).encoder("rgb"),
        RunFolder.open(trained).encoder("rgb"),
    )
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
    assert (
        RunFolder.open(tmp_path).encoder("rgb")[1].fingerprint
        != RunFolder.open(unlabelled).encoder("rgb")[1].fingerprint
    )


def test_fine_tuning_begins_as_the_classifier_of_frozen_encoders_would_be(
    trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    still = ["classifier.mode=finetune", "classifier.learning_rate=1e-12", "classifier.weight_decay=0.0"]
    from_trained = [*still, "training.epochs=0", f"training.init_from='{trained}'"]
    train_tiny(tiny_config(*from_trained), tmp_path / "fitted")
    train_tiny(tiny_config(*from_trained, "classifier.starts_fitted=false"), tmp_path / "drawn")
    train_tiny(tiny_config(*still, "training.epochs=0"), tmp_path / "untrained")
    weights = {
        run: RunFolder.open(tmp_path / run).encoder("rgb")[0].classifier for run in ("fitted", "drawn", "untrained")
    }
    frozen = RunFolder.open(trained).encoder("rgb")[0].classifier
    assert _alike(_weight(weights["drawn"]), _weight(weights["untrained"]))  # the same draw of numbers
    assert not _alike(_weight(weights["fitted"]), _weight(weights["drawn"]))
    # The strengths of their penalties differ, and features are scaled elsewhere.
    assert torch.corrcoef(torch.stack([_bias(weights["fitted"]), _bias(frozen)]))[0, 1] > 0.9


def _weight(head: torch.nn.Module | None) -> torch.Tensor:
    assert isinstance(head, MeanClassifier)
    return head.fc.weight.detach()


def _bias(head: torch.nn.Module | None) -> torch.Tensor:
    assert isinstance(head, MeanClassifier)
    return head.fc.bias.detach()


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-5)


def test_few_labels_are_so_many_of_each_class_and_train_for_as_many_steps_as_asked(
    figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    relabel(figures_copy, lambda index, label: "ab"[index % 2])
    few = ["classifier.mode=finetune", "classifier.labels_per_class=1", "classifier.least_steps=5", "training.epochs=1"]
    train_tiny(tiny_config(f"data.folder={figures_copy}", *few, "views=['rgb']"), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if line["phase"] == "classify"]
    assert steps == [4, 5, 6, 7, 8]  # of two videos, an epoch is one step; pre-training took three
    assert RunFolder.open(tmp_path / "run").encoder("rgb")[1].labels == ("a", "b")


def test_few_labels_are_drawn_by_seed_and_no_class_is_left_without() -> None:
    labels = list("aaaaaaaabbbbbbbbc")
    drawn = {seed: drawn_of_each_class(labels, 3, seed) for seed in range(4)}
    assert all([labels[at] for at in of] == list("aaabbbc") for of in drawn.values())
    assert drawn[0] == drawn_of_each_class(labels, 3, 0)
    assert len({tuple(of) for of in drawn.values()}) > 1


def test_the_papers_recurrent_head_is_trained_and_read_back(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    train_tiny(tiny_config("classifier.head=gru"), tmp_path)
    encoder, contract = RunFolder.open(tmp_path).encoder("rgb")
    assert contract.encoder.classifier == "gru"
    assert encoder.classifier is not None
    assert any("aggregator" in name for name, _ in encoder.classifier.named_parameters())
    with torch.no_grad():
        assert torch.isfinite(encoder(_clips()).logits).all()


def _classification(mode: str, head: str, share: float = 1.0) -> tuple[Classification, ClassifierSection]:
    torch.manual_seed(0)
    section = ClassifierSection(
        head=head, mode=mode, dropout=0.25, learning_rate=0.01, backbone_learning_rate_share=share
    )  # type: ignore[arg-type]  # literals
    encoder = build_encoder(EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4), VIEWS["rgb"])
    return Classification({"rgb": encoder}, section, len(LABELS)), section


@pytest.mark.parametrize("head", ["mean", "gru"])
def test_fine_tuning_trains_every_parameter_and_frozen_only_the_classifier(head: str) -> None:
    for mode in ("finetune", "frozen"):
        classification, section = _classification(mode, head)
        optimizer = torch.optim.AdamW(classification.parameter_groups(section))
        before = {name: parameter.detach().clone() for name, parameter in classification.named_parameters()}
        assert any("aggregator" in name for name in before) == (head == "gru")
        logits = classification.train()({"rgb": _clips()})["rgb"]
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
        optimizer.step()
        # BatchNorm of the mean classifier cancels the last biases of the backbone.
        names = {name for name in before if head == "gru" or not name.endswith(".bias")}
        parameters = dict(classification.named_parameters())
        changed = {name for name in names if not parameters[name].equal(before[name])}
        assert changed == {name for name in names if mode == "finetune" or ".classifier." in name}


def test_the_backbone_may_learn_more_slowly_than_the_classifier() -> None:
    classification, section = _classification("finetune", "mean", share=0.1)
    rate_of = {id(p): group["lr"] for group in classification.parameter_groups(section) for p in group["params"]}
    for name, parameter in classification.named_parameters():
        assert rate_of[id(parameter)] == pytest.approx(0.01 if ".classifier." in name else 0.001)


@pytest.mark.parametrize("head", ["mean", "gru"])
def test_the_configured_dropout_reaches_the_classifier(head: str) -> None:
    classification, _ = _classification("frozen", head)
    encoder = classification.train().encoders["rgb"]
    assert isinstance(encoder.classifier, MeanClassifier | GRUClassifier)
    assert encoder.classifier.dropout.p == 0.25
    assert (encoder.training, encoder.classifier.dropout.training) == (False, True)


def test_the_contract_names_the_training_labels_in_order(trained: Path) -> None:
    for view in ("rgb", "pose"):
        contract = RunFolder.open(trained).encoder(view)[1]
        assert contract.labels == LABELS == tuple(sorted(LABELS))
        assert contract.output_shapes["logits"] == (len(LABELS),)
    assert json.loads((trained / "complete.json").read_text())["labels"] == list(LABELS)


def test_a_classifier_learns_the_training_videos(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    still = ["augment.crop_scale=[1.0, 1.0]", "augment.gain=0.0", "clip.stride_jitter=[1.0, 1.0]"]
    length = ["training.epochs=1", "training.batch_size=6", "classifier.epochs=40", "classifier.learning_rate=0.05"]
    length += ["classifier.head=gru"]
    config = tiny_config("views=['pose']", "model.width=8", *still, *length)
    train_tiny(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["phase"] == "classify"]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_videos_without_labels_give_encoders_without_logits(
    figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    relabel(figures_copy, lambda index, label: "")
    train_tiny(tiny_config(f"data.folder={figures_copy}"), tmp_path / "run")
    encoder, contract = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert (encoder.classifier, contract.labels, contract.encoder.classifier) == (None, (), "none")


def test_where_only_some_videos_have_labels_all_are_pre_trained_on_and_the_journal_is_whole(
    figures_copy: Path, unlabelled: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    relabel(figures_copy, lambda index, label: label if index in (1, 3) else "")
    train_tiny(tiny_config(f"data.folder={figures_copy}"), tmp_path / "run")
    _, contract = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert contract.labels == ("arm swing", "clap overhead")
    assert contract.fingerprint == RunFolder.open(unlabelled).encoder("rgb")[1].fingerprint
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["step"]) for line in lines] == [
        ("pretrain", 3),
        ("pretrain", 6),
        ("classify", 7),
    ]


@pytest.mark.parametrize("head", ["gru", "gru_raw"])
def test_a_recurrent_classifier_starts_from_the_aggregator_of_pre_training(
    head: str, trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    still = [f"classifier.head={head}", "classifier.learning_rate=1e-12", "classifier.weight_decay=0.0"]
    source = shutil.copytree(trained, tmp_path / "source")
    (source / "views" / "pose" / "aggregator.safetensors").unlink()  # as in runs that kept none
    train_tiny(tiny_config(*still, "training.epochs=0", f"training.init_from='{source}'"), tmp_path / "further")
    train_tiny(tiny_config(*still), tmp_path / "whole")
    for run, view, is_kept in (("further", "rgb", True), ("further", "pose", False), ("whole", "pose", True)):
        kept = load_file(trained / "views" / view / "aggregator.safetensors")
        classifier = RunFolder.open(tmp_path / run).encoder(view)[0].classifier
        assert isinstance(classifier, GRUClassifier)
        for name, tensor in classifier.aggregator.state_dict().items():
            assert torch.allclose(tensor, kept[name], atol=1e-6) == is_kept, (run, view, name)


def test_a_classifier_that_diverges_leaves_the_pre_training_to_go_on_from(
    unlabelled: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    diverges = r"^training the classifiers diverged: .* epoch [12] is nan; .* \(pre-training is kept\)$"
    for how in ("classifier.head=gru", "classifier.mode=finetune"):
        config = tiny_config("classifier.learning_rate=1e36", how)
        with pytest.raises(CoconError, match=diverges):
            train_tiny(config, run, overwrite=True)
        assert not RunFolder.open(run).is_complete
        assert RunFolder.open(run).state() is not None
        kept, expected = weights_of(run), weights_of(unlabelled)
        assert all(torch.equal(kept[name], expected[name]) for name in expected)
