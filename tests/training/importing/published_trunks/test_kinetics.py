"""R(2+1)D-18 and S3D of Kinetics: their numbers, their classifiers, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import MismatchError
from cocon.embedding.contract import ModelContract, Normalisation
from cocon.training.run_folder.files import RunFolder
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from tests.training.importing.published_trunks.restated import S3D, R2Plus1D, state_of, with_random_numbers

Import = Callable[..., list[ModelContract]]
MEAN, STD = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
CLASSES = tuple(f"action {index}" for index in range(400))


@pytest.mark.parametrize(("network", "parameters"), [(R2Plus1D, 31_505_325), (S3D, 8_320_048)])
def test_the_restated_network_has_the_published_number_of_parameters(
    network: Callable[[], nn.Module], parameters: int
) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in network().parameters()) == parameters


def _normalised(clips: Tensor) -> Tensor:
    """Bytes `[M, T, H, W, 3]` to `float [M, 3, T, H, W]`."""
    return ((clips / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 4, 1, 2, 3)


def _bytes(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(6), dtype=torch.uint8)


def test_r2plus1d_gives_features_and_logits_of_its_network(import_into: Import, tmp_path: Path) -> None:
    network = with_random_numbers(R2Plus1D())
    assert isinstance(network, R2Plus1D)
    torch.save(network.state_dict(), tmp_path / "r2plus1d_18.pth")
    (contract,) = import_into(tmp_path / "r2plus1d_18.pth", source="torchvision", labels=CLASSES)
    assert (contract.encoder.backbone, contract.embedding_dim, contract.labels) == ("r2plus1d", 512, CLASSES)
    assert (contract.geometry, contract.normalisation) == (Geometry(128, 112), Normalisation(MEAN, STD))
    assert contract.clip == ClipSpec(4, 16, step_seconds=1 / 15)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    clips = _bytes(2, 2, 8, 48, 48, 3)
    with torch.no_grad():
        x = _normalised(clips.flatten(0, 1))
        features, logits = (y.reshape(2, 2, -1) for y in (network.features(x), network(x)))
        outputs = encoder(clips)
    blocks = F.normalize(features, dim=-1)
    torch.testing.assert_close(outputs.blocks, blocks, rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.embedding, F.normalize(blocks.mean(dim=1), dim=-1), rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.block_logits, logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(outputs.logits, logits.mean(dim=1), rtol=1e-5, atol=1e-5)


# 25 frames are three moments after the last pooling, of which there the mean of every two is taken.
@pytest.mark.parametrize(
    "num_frames", [25, pytest.param(16, marks=pytest.mark.slow), pytest.param(64, marks=pytest.mark.slow)]
)
def test_s3d_gives_the_logits_of_its_network_however_long_a_block_is(
    num_frames: int, import_into: Import, tmp_path: Path
) -> None:
    network = with_random_numbers(S3D())
    with torch.no_grad():  # so many layers of such numbers would forget what they see
        for layer in network.modules():
            if isinstance(layer, nn.Conv3d):
                layer.weight *= 1.6
    torch.save({"state_dict": state_of(network, "module.")}, tmp_path / "s3d.pth")
    settings = (f"clip.frames_per_block={num_frames}",) if num_frames != 64 else ()
    (contract,) = import_into(tmp_path / "s3d.pth", source="torchvision", labels=CLASSES, settings=settings)
    assert (contract.encoder.backbone, contract.embedding_dim, contract.labels) == ("s3d_kinetics", 1024, CLASSES)
    assert (contract.geometry, contract.normalisation) == (Geometry(256, 224), Normalisation(MEAN, STD))
    assert contract.clip == ClipSpec(1, num_frames, step_seconds=1 / 15)
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    clips = _bytes(2, 1, num_frames, 224, 224, 3)
    clips[1] = clips[1] // 4
    with torch.no_grad():
        logits = network(_normalised(clips.flatten(0, 1)))
        outputs = encoder(clips)
    assert outputs.logits is not None
    largest = float(logits.abs().max())
    assert (logits[0] - logits[1]).abs().max() > 1e-3 * largest
    torch.testing.assert_close(outputs.logits, logits, rtol=1e-5, atol=1e-5 * largest)


def test_without_names_for_its_classes_the_classifier_is_left_out(
    cocon: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    network, run = with_random_numbers(R2Plus1D(width=4, classes=5)), tmp_path / "run"
    torch.save(network.state_dict(), tmp_path / "file.pth")
    arguments = ("import", "--from", "torchvision", "--output", run, tmp_path / "file.pth")
    code, output, errors = cocon(*arguments)
    left_out = "  left out: the classifier of 5 classes\n"
    assert (code, output, errors) == (0, f"{run} holds torchvision rgb (r2plus1d at 112 px)\n{left_out}", "")
    plain, contract = RunFolder.open(run).encoder("rgb")
    assert (contract.labels, contract.encoder.classifier, plain.classifier) == ((), "none", None)
    (tmp_path / "names.txt").write_text("".join(f"{name}\n" for name in CLASSES[:5]))
    assert cocon(*arguments, "--overwrite", "--labels", tmp_path / "names.txt")[0] == 0
    named, contract = RunFolder.open(run).encoder("rgb")
    assert contract.labels == CLASSES[:5]
    clips = _bytes(1, 1, 4, 32, 32, 3)
    with torch.no_grad():
        assert torch.equal(plain(clips).embedding, named(clips).embedding)
    code, _, errors = cocon(*arguments, "--overwrite", "--labels", _lines(tmp_path / "four.txt", 4))
    assert (code, errors.count("\n")) == (2, 1)
    assert "4 labels for the 5 classes" in errors


def _lines(path: Path, number: int) -> Path:
    path.write_text("".join(f"name {index}\n" for index in range(number)))
    return path


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"layer4.1.conv2.0.3.weight": None}, "1 missing keys: layer4.1.conv2.0.3.weight"),
        ({"layer4.1.conv3.weight": torch.ones(1)}, "1 unknown keys: layer4.1.conv3.weight"),
        ({"layer4.2.conv1.1.weight": torch.ones(1)}, "(2, 2, 2, 3) residual blocks per stage"),
        ({"stem.0.weight": torch.ones(2, 3, 1, 7, 7)}, "1 other shapes: stem.0.weight [2, 3, 1, 7, 7] in place of [3"),
        ({"fc.weight": torch.ones(5, 4, 2)}, "has fc.weight [5, 4, 2], no linear layer"),
        ({"fc.weight": torch.ones(5, 33)}, "1 other shapes: fc.weight [5, 33] in place of [5, 32]"),
        ({"stem.4.weight": torch.ones(0)}, "has 0 channels in its first stage"),
        # Kilobytes of a file, of which a network of gigabytes would be built.
        ({"stem.4.weight": torch.ones(1).expand(9**6)}, "has 531441 channels in its first stage"),
        ({"fc.weight": torch.ones(1).expand(9**8, 1)}, "and 43046721 classes"),
        ({"stem.4.weight": None}, "is no R(2+1)D of torchvision: it needs stem.3.weight of five dimensions and stem.4"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(
    change: dict[str, Tensor | None], part: str, import_into: Import, tmp_path: Path
) -> None:
    state = {**state_of(with_random_numbers(R2Plus1D(width=4, classes=5))), **change}
    torch.save({name: tensor for name, tensor in state.items() if tensor is not None}, tmp_path / "file.pth")
    with pytest.raises(MismatchError) as caught:
        import_into(tmp_path / "file.pth", source="torchvision", labels=CLASSES[:5])
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
