"""Claims are judged by the figures, not by hope."""

from cocon.training.reproduce.claims import Comparison, check_claims
from cocon.training.reproduce.rows import Row

VIEWS = ("rgb", "pose")
METRICS = ("probe_top1", "R@1")


def _row(name: str, view: str, metric: str, values: tuple[float, ...], sd: float = 1.0) -> Row:
    mean = sum(values) / len(values)
    return Row("cocon", name, name, "resnet10", VIEWS, view, metric, mean, sd, len(values), 1.0, values)


def _rows(levels: dict[str, float], ensemble: float = 90.0) -> list[Row]:
    rows = [_row(name, v, m, (level - 1, level + 1)) for name, level in levels.items() for v in VIEWS for m in METRICS]
    return rows + [_row(name, "ensemble", metric, (ensemble, ensemble)) for name in levels for metric in METRICS]


def test_a_gain_within_one_sd_is_not_called_holding() -> None:
    assert Comparison("rgb", 51.5, 50.0, 1.0, 3).verdict == "holds"
    assert Comparison("rgb", 50.5, 50.0, 1.0, 3).verdict == "within one sd"
    assert Comparison("rgb", 49.0, 50.0, 5.0, 3).verdict == "does not hold"
    assert Comparison("rgb", 51.5, 50.0, 0.0, 1).verdict == "one seed"


def test_the_papers_order_holds_where_the_figures_follow_it() -> None:
    claims = check_claims(_rows({"random": 10.0, "cpc": 30.0, "cpc+sync": 20.0, "cpc+sim": 50.0, "cocon": 70.0}), VIEWS)
    assert claims and all(claim.holds for claim in claims)


def test_a_figure_out_of_order_is_named() -> None:
    rows = _rows({"random": 10.0, "cpc": 80.0, "cpc+sync": 20.0, "cpc+sim": 50.0, "cocon": 70.0}, ensemble=60.0)
    failed = {claim.statement for claim in check_claims(rows, VIEWS) if not claim.holds}
    assert failed == {
        "CoCon > CPC, in every view",
        "CoCon > CPC, mean over views",
        "CPC+sim > CPC, mean over views",
        "CoCon: fused > best single view",
    }


def test_the_spread_of_a_mean_over_views_is_that_of_its_seeds() -> None:
    levels = {"random": 10.0, "cpc": 30.0, "cpc+sync": 20.0, "cpc+sim": 50.0, "cocon": 70.0}
    claim = next(c for c in check_claims(_rows(levels), VIEWS) if c.statement == "CoCon > CPC, mean over views")
    assert claim.comparisons[0].better == 70.0
    assert abs(claim.comparisons[0].sd - 2**0.5) < 1e-9
