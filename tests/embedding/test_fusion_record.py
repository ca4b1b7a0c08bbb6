"""What a repository says of its fusion travels whole, and is taken for no other encoders."""

import json
from pathlib import Path
from typing import Any

import pytest

from cocon.core.errors import MismatchError
from cocon.embedding.contract import fused_fingerprint
from cocon.embedding.fusion_record import FusionRecord

FINGERPRINTS = {"flow": "f" * 64, "rgb": "a" * 64, "pose": "b" * 64}
WEIGHTS = {"flow": 0.7, "rgb": 0.1, "pose": 0.2}
RECORD = FusionRecord(FINGERPRINTS, WEIGHTS, 24, ("wave", "jump"))


def write(root: Path, text: str, version: int = 1) -> None:
    folder = root / "cocon" / str(version)
    folder.mkdir(parents=True)
    (folder / "fusion.json").write_text(text)


def test_the_newest_of_a_repository_is_read_back(tmp_path: Path) -> None:
    assert FusionRecord.current(tmp_path) is None
    write(tmp_path, "{}")
    write(tmp_path, RECORD.to_json(), version=12)
    assert FusionRecord.current(tmp_path) == RECORD
    assert RECORD.fingerprint == fused_fingerprint(FINGERPRINTS, WEIGHTS)


def test_some_of_its_views_keep_their_ratio() -> None:
    pair = {view: FINGERPRINTS[view] for view in ("rgb", "flow")}
    assert RECORD.weights_for(pair) == {"rgb": 0.1, "flow": 0.7}


@pytest.mark.parametrize("other", [{"rgb": "c" * 64}, {"mask": "a" * 64}])
def test_weights_of_other_encoders_are_refused(other: dict[str, str]) -> None:
    with pytest.raises(MismatchError, match=r"another encoder of view '(rgb|mask)' than 'cocon_"):
        RECORD.weights_for({"flow": FINGERPRINTS["flow"]} | other)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": {"flow": 0.7, "rgb": 0.2, "pose": 0.1}},
        {"weights": {"flow": 0.7, "rgb": -0.1, "pose": 0.4}},
        {"weights": {"flow": 0.7, "rgb": float("nan"), "pose": 0.3}},
        {"weights": {"flow": 0.7}},
        {"weights": dict.fromkeys(FINGERPRINTS, 0.0)},
        {"views": [], "weights": {}},
        {"views": {**FINGERPRINTS, "rgb": "c" * 64}},
        {"labels": 7},
        {"fingerprint": None},
    ],
)
def test_a_changed_record_is_one_line(change: dict[str, Any]) -> None:
    text = json.dumps(json.loads(RECORD.to_json()) | change)
    with pytest.raises(MismatchError, match=r"^here (is no record|was changed).*; export again$"):
        FusionRecord.from_json(text, source="here")


def test_a_record_that_is_missing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cocon" / "3").mkdir(parents=True)
    with pytest.raises(MismatchError, match=r"fusion\.json' cannot be read: .*; export again"):
        FusionRecord.current(tmp_path)
