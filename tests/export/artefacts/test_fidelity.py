"""What a variant is judged by: cosines, queries that only one of the two answers, neighbours that both find."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from cocon.core.errors import GateError
from cocon.embedding.embedder import Embedder
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder
from cocon.export.artefacts.fidelity import Fidelity, FidelityBound, PairedFigure, paired_figure
from cocon.export.artefacts.variant_comparison import JudgedVideo, measure_fidelity
from cocon.export.sources import ViewSource

MakeSource = Callable[..., ViewSource]

NEAR = Fidelity(0.998, 0.99, 40, 80, "videos", 0.96)
EVEN = PairedFigure(90.0, 89.0, -2.0, 0.5)


def embedder_of(source: ViewSource, noise: float = 0.0) -> Embedder:
    """The encoder, every weight off by a random share."""
    deployable = Deployable(source.encoder)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in deployable.parameters():
            weight *= 1 + noise * torch.randn(weight.shape, generator=generator)
    return TorchEmbedder(deployable, source.contract)


def videos_of(source: ViewSource, num_videos: int, *labels: str) -> Iterator[JudgedVideo]:
    """Pictures of one brightness, which is the label, and some noise; every second one asks."""
    rng = np.random.default_rng(0)
    for place in range(num_videos):
        of_class = place // 2 % max(1, len(labels))
        pixels = rng.integers(0, 60, (2, *source.contract.clip_shape)) + 190 * of_class // max(1, len(labels) - 1)
        yield JudgedVideo(pixels.astype(np.uint8), labels[of_class] if labels else "", f"{place}", place % 2 == 1)


def test_an_encoder_is_itself(make_source: MakeSource) -> None:
    source = make_source()
    videos = videos_of(source, 8, "wave", "jump")
    found = measure_fidelity(embedder_of(source), embedder_of(source), videos, source="videos of 'noise'")
    assert found.min_cosine == pytest.approx(1, abs=1e-6) and found.neighbour_overlap == 1
    assert (found.num_videos, found.num_clips) == (8, 16)
    assert found.figures.keys() == {"R@1", "mixed R@1", "probe", "classifier"}
    assert found.figures["R@1"] == found.figures["probe"] == PairedFigure(100, 100, 0, 0)
    assert Fidelity.from_json(found.to_json()) == found
    assert "R@1 100.0 → 100.0 % (difference +0.0 to +0.0)" in str(found)
    assert "16 clips of 8 videos of 'noise'" in str(found)
    FidelityBound(min_cosine=0.999).check(found)


def test_another_encoder_is_not(make_source: MakeSource) -> None:
    source = make_source()
    found = measure_fidelity(embedder_of(source), embedder_of(source, 0.5), videos_of(source, 24), source="videos")
    assert found.min_cosine <= found.mean_cosine < 0.98
    assert found.neighbour_overlap < 0.95 and not found.figures
    with pytest.raises(GateError, match=r"^must have mean cosine at least 0\.99, must find 95% .*24 videos$"):
        FidelityBound(mean_cosine=0.99).check(found)
    with pytest.raises(GateError, match="no video"):
        measure_fidelity(embedder_of(source), embedder_of(source), [], source="videos")


@pytest.mark.parametrize(
    ("gained", "lost", "low", "high"),
    [
        (0, 0, 0, 0),
        (0, 5, -5, 0.2),  # all of five lost is still chance
        (0, 6, -6, -0.49),  # all of six is not
        (6, 0, 0.49, 6),
        (5, 8, -9.4, 4.8),
    ],
)
def test_the_interval_is_that_of_the_queries_that_only_one_answers(
    gained: int, lost: int, low: float, high: float
) -> None:
    reference, variant = np.zeros(100, bool), np.zeros(100, bool)
    reference[:lost] = True
    variant[lost : lost + gained] = True
    reference[40:] = variant[40:] = True
    found = paired_figure(reference, variant)
    assert (found.reference, found.variant) == (60 + lost, 60 + gained)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (NEAR, None),
        (replace(NEAR, mean_cosine=0.98), "must have mean cosine at least 0.99"),
        (replace(NEAR, mean_cosine=float("nan")), "must have mean cosine at least 0.99"),
        (replace(NEAR, neighbour_overlap=0.94), "must find 95% of the same neighbours"),
        (replace(NEAR, neighbour_overlap=0.5, figures={"R@1": EVEN}), None),
        (replace(NEAR, figures={"R@1": EVEN, "probe": replace(EVEN, high=-0.1)}), "probe is below the reference's"),
        (replace(NEAR, figures={"R@1": replace(EVEN, high=float("nan"))}), "R@1 is below the reference's"),
    ],
)
def test_a_bound_names_what_it_refuses_and_all_figures(found: Fidelity, problem: str | None) -> None:
    bound = FidelityBound(mean_cosine=0.99)
    if problem is None:
        bound.check(found)
        return
    with pytest.raises(GateError) as error:
        bound.check(found)
    assert str(error.value) == f"{problem}: {found}"
