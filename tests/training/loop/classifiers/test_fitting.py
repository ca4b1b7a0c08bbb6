"""The classifier of frozen encoders says what a linear probe of the same features would."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.evaluation.recognition.blocks import ClipProtocol, encode_blocks
from cocon.training.evaluation.recognition.probe import fit_probe
from cocon.training.loop.classifiers import fitting
from cocon.training.models.heads import MeanClassifier
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder, VideoEntry

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]


def _features(seed: int, labels: NDArray[np.str_]) -> NDArray[np.float32]:
    """Of small values far from zero, as pooled features are, and one that never changes."""
    rng = np.random.default_rng(seed)
    kinds = np.unique(labels, return_inverse=True)[1]
    found = 0.3 + 0.01 * (np.eye(8)[kinds] + 0.4 * rng.normal(size=(len(labels), 8)))
    found[:, 7] = 0.25
    return found.astype(np.float32)


@pytest.mark.parametrize(
    ("kinds", "labels"),
    [("abc", ("a", "b", "c")), ("ab", ("a", "b")), ("ac", ("a", "b", "c")), ("bcd", ("a", "b", "c", "d", "e"))],
)
def test_a_classifier_becomes_the_probe_of_classes_that_it_may_know_more_than(
    kinds: str, labels: tuple[str, ...]
) -> None:
    names = np.array(list(kinds * 12))
    probe = fit_probe(_features(0, names), names, np.arange(len(names)).astype(str))
    head = MeanClassifier(8, len(labels), dropout=0.5).eval()
    fitting._become(head, probe, labels)
    asked = _features(1, names)
    maps = torch.from_numpy(asked)[:, None, :, None, None].expand(-1, 2, -1, 3, 3)  # [U, N, D, s, s]
    with torch.no_grad():
        logits, of_blocks = head(maps), head.block_logits(maps)
    shares = logits.softmax(dim=1).numpy()
    known = [labels.index(kind) for kind in sorted(kinds)]
    assert shares[:, known] == pytest.approx(probe.probabilities(asked), abs=2e-4)
    assert np.delete(shares, known, axis=1).max(initial=0) < 1e-6
    assert of_blocks.mean(dim=1).numpy() == pytest.approx(logits.numpy(), abs=1e-4)
    rounded = head.half().float()  # as packed runs keep it
    with torch.no_grad():
        assert rounded(maps).argmax(dim=1).tolist() == logits.argmax(dim=1).tolist()


def test_a_run_has_the_classifier_that_a_probe_of_its_clips_is(trained: Path, tiny_config: MakeConfig) -> None:
    config = tiny_config()
    entries = DatasetFolder.open(config.data.folder).split("train")
    frames = VideoFrames(entries, config.data.folder, view_requests(config), cache_gib=1.0)
    for view in config.views:
        encoder, contract = RunFolder.open(trained).encoder(view)
        every_block = ClipProtocol(hop_blocks=1)
        maps = [
            next(encode_blocks(encoder, contract, frames[i], protocol=every_block, has_dense=False).clips(99))
            for i in range(len(entries))
        ]
        counts = [len(of) for of in maps]
        assert max(counts) > 1
        clips = np.concatenate([of.mean(dim=(1, 3, 4)).numpy() for of in maps])
        names, groups = (np.repeat([of(entry) for entry in entries], counts) for of in (_label, _group))
        probe = fit_probe(clips, names, groups, np.repeat(1 / np.array(counts), counts))
        assert encoder.classifier is not None
        with torch.no_grad():
            logits = np.concatenate([encoder.classifier(of).numpy() for of in maps])
        expected = probe.model.decision_function(probe.scaler.transform(clips))
        assert logits - logits.mean(axis=1, keepdims=True) == pytest.approx(
            expected - expected.mean(axis=1, keepdims=True), abs=1e-3
        )
        assert contract.labels == tuple(probe.model.classes_)


def _label(entry: VideoEntry) -> str:
    return entry.label


def _group(entry: VideoEntry) -> str:
    return entry.group


def test_many_clips_of_one_video_count_as_much_as_one_of_another() -> None:
    names = np.array(list("ab" * 12))
    train, groups = _features(0, names), np.arange(24).astype(str)
    counts = np.where(names == "a", 5, 1)
    again = fit_probe(
        *(np.repeat(of, counts, axis=0) for of in (train, names, groups)), weights=np.repeat(1 / counts, counts)
    )
    once = fit_probe(train, names, groups)
    asked = _features(1, names)
    assert again.probabilities(asked) == pytest.approx(once.probabilities(asked), abs=2e-3)
    unweighted = fit_probe(*(np.repeat(of, counts, axis=0) for of in (train, names, groups)))
    assert np.abs(unweighted.probabilities(asked) - once.probabilities(asked)).max() > 0.02


def test_nothing_is_drawn_and_no_key_of_training_counts(
    trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    train_tiny(tiny_config("classifier.epochs=1", "classifier.learning_rate=1e30", "classifier.dropout=0.5"), tmp_path)
    for path in trained.glob("views/*/weights.safetensors"):
        assert (tmp_path / path.relative_to(trained)).read_bytes() == path.read_bytes()


def test_one_class_alone_is_what_everything_is_called(
    figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    manifest = figures_copy / "manifest.csv"
    head, *rows = manifest.read_text().splitlines()
    columns = head.split(",")
    place = columns.index("label")
    same = [",".join(["bow" if at == place else cell for at, cell in enumerate(row.split(","))]) for row in rows]
    manifest.write_text("\n".join([head, *same]) + "\n")
    train_tiny(tiny_config(f"data.folder={figures_copy}", "training.epochs=1"), tmp_path / "run")
    encoder, contract = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert contract.labels == ("bow",)
    assert encoder.classifier is not None
