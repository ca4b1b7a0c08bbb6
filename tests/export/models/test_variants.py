"""Variants in a repository: beside their reference, behind their own gate, left out where they fail it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.embedding.config_files import read_config
from cocon.embedding.embedder import ENCODER
from cocon.embedding.local import LocalRepository
from cocon.embedding.repository import FP16, INT8, ONNX
from cocon.export.artefacts.fidelity import Fidelity
from cocon.export.artefacts.variant_clips import given_clips
from cocon.export.publishing import VariantRefusedError, export_encoders
from cocon.export.repository.stage import Exported
from cocon.export.sources import ExportOptions, ViewSource

MakeSource = Callable[..., ViewSource]

OPTIONS = ExportOptions(formats=(ONNX,), variants=(INT8, FP16))


@pytest.fixture(scope="module")
def source(make_source: MakeSource, judged_by_squares: Callable[[ViewSource], ViewSource]) -> ViewSource:
    return judged_by_squares(make_source())


@pytest.fixture(scope="module")
def exported(source: ViewSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Exported]]:
    repository = tmp_path_factory.mktemp("variants") / "model_repository"
    export_encoders([source], repository, ExportOptions(formats=(ONNX,)))
    return repository, export_encoders([source], repository, OPTIONS)


def test_variants_stand_beside_their_reference(exported: tuple[Path, list[Exported]], source: ViewSource) -> None:
    repository, models = exported
    assert [model.model for model in models] == ["cocon_rgb", "cocon_rgb_int8", "cocon_rgb_fp16"]
    assert [model.is_new for model in models] == [False, True, True]  # made from the file that was there
    reference, int8, fp16 = models
    assert int8.num_bytes < reference.num_bytes and fp16.num_bytes < 0.6 * reference.num_bytes
    assert reference.fidelity is None and int8.parity is None
    assert int8.fidelity is not None and int8.fidelity.mean_cosine >= 0.99
    assert fp16.fidelity is not None and fp16.fidelity.min_cosine >= 0.999

    with LocalRepository(repository).open(ENCODER, "rgb") as embedder:
        expected = embedder.embed(source.clips).embedding
    for model, variant in ((int8, INT8), (fp16, FP16)):
        with LocalRepository(repository, variant).open(ENCODER, "rgb") as embedder:
            assert embedder.name == model.model
            assert embedder.contract == source.contract  # so the same fingerprint
            found = embedder.embed(source.clips).embedding
        assert not np.array_equal(found, expected)
        assert (found * expected).sum(-1).mean() > 0.99


def test_a_variant_carries_its_figures_and_tells_them(exported: tuple[Path, list[Exported]]) -> None:
    repository, (_, int8, _) = exported
    parameters = read_config(repository / "cocon_rgb_int8" / "config.pbtxt").parameters
    assert Fidelity.from_json(parameters["fidelity.1"].string_value) == int8.fidelity
    assert "parity.1" not in parameters
    card = (repository / "cocon_rgb_int8" / "README.md").read_text()
    assert "a variant of `cocon_rgb`, compared with it: mean cosine 0.99" in card
    assert "client embed --view rgb --model-format int8 video.mp4" in card
    assert "almost but not quite the same" in card
    assert "variant" not in (repository / "cocon_rgb" / "README.md").read_text()


def test_what_is_up_to_date_stays_with_its_figures(
    exported: tuple[Path, list[Exported]], source: ViewSource, make_source: MakeSource
) -> None:
    repository, models = exported
    again = export_encoders([source], repository, OPTIONS)
    assert again == [replace(model, is_new=False) for model in models]


def test_a_variant_that_is_too_far_off_is_left_out_and_all_else_published(source: ViewSource, tmp_path: Path) -> None:
    # Ranges that were measured on black pictures cut everything else off.
    black = given_clips(np.concatenate([np.zeros_like(source.clips[:1]), source.clips]), num_calibration=1)
    refusing = replace(source, for_variants=lambda: black)
    with pytest.raises(VariantRefusedError) as error:
        export_encoders([refusing], tmp_path, OPTIONS)
    assert str(error.value).startswith("not published: cocon_rgb_int8: must have mean cosine at least 0.99")
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 6
    assert [model.model for model in error.value.exported] == ["cocon_rgb", "cocon_rgb_fp16"]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "cocon_rgb",
        "cocon_rgb_fp16",
    ]
