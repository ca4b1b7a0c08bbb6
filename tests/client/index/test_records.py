"""An index and a model of the same fingerprint: whether they are the same variant is said, once."""

import logging

import pytest

from cocon.client.index.records import IndexFacts, check_fingerprint


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ("cocon_rgb", "cocon_rgb", False),
        ("cocon_rgb", "cocon_rgb_torchscript", False),
        ("cocon_rgb", "cocon_rgb_int8", True),
        ("cocon_rgb_int8", "cocon_rgb_int8", False),
        ("cocon_flow+cocon_rgb", "cocon_flow_fp16+cocon_rgb_fp16", True),
    ],
)
def test_another_variant_than_that_of_the_index_is_said_once(
    before: str, now: str, *, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    facts = IndexFacts(("rgb",), "f" * 64, 8, before)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            check_fingerprint(facts, "rgb", "f" * 64, index=f"of {before} asked by {now}", model=now)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == told
    assert all(f"was filled by {before}; vectors of {now} are almost" in message for message in said)
