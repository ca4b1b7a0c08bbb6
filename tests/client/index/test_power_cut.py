"""After a power cut at any moment, what was acknowledged is there and every answer is right."""

import random
from itertools import islice
from pathlib import Path

import pytest

from tests.client.index.churn import changes, check
from tests.client.index.power_cut import Disk, cuts, recorded

KINDS = ("put", "put", "remove", "import", "compact")
NUM_CHANGES = 12


@pytest.mark.slow
def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    code = ["-m", "tests.client.index.churn", str(folder), "7", str(NUM_CHANGES), *KINDS]
    calls = recorded(code, tmp_path / "calls.txt")
    planned = list(islice(changes({}, random.Random(7), KINDS), NUM_CHANGES))
    num_cuts = 0
    for said in cuts(Disk(folder), calls, tmp_path / "cut"):
        num_done, num_begun = said.count(b"d"), said.count(b"b")
        check(tmp_path / "cut", {}, planned[:num_done], planned[num_done] if num_begun > num_done else None)
        num_cuts += 1
    assert num_cuts > 20 * NUM_CHANGES
