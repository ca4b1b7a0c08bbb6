"""The contract: what it says, what its fingerprint covers, and that tampering shows."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cocon.core.errors import MismatchError
from cocon.embedding.contract import (
    BLOCK_LOGITS,
    BLOCKS,
    CLIP,
    EMBEDDING,
    LOGITS,
    EncoderSpec,
    ModelContract,
    Normalisation,
    fused_fingerprint,
)
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.following.rule import Following
from cocon.video.geometry import Geometry
from cocon.video.views import VIEWS

MakeContract = Callable[..., ModelContract]

PACKED_BEFORE = Path(__file__).resolve().parents[2] / "pretrained" / "figures-tiny"

LABELLED: dict[str, Any] = {"labels": ("run", "jump é"), "encoder": EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, "mean")}
FLOW = {"view": "flow", "flow": FlowSpec()}
# One change of every field that decides an embedding's value.
CHANGES: dict[str, dict[str, Any]] = {
    "method": {"method": "cpc"},
    "view": {"view": "mask"},
    "num_blocks": {"clip": ClipSpec(3, 3)},
    "frames_per_block": {"clip": ClipSpec(2, 4)},
    "step_seconds": {"clip": ClipSpec(2, 3, step_seconds=0.2)},
    "step_frames": {"clip": ClipSpec(2, 3, step_seconds=None, step_frames=3)},
    "short_video": {"clip": ClipSpec(2, 3, short_video="loop")},
    "tail": {"clip": ClipSpec(2, 3, tail="pad")},
    "resize_px": {"geometry": Geometry(10, 8)},
    "crop_px": {"geometry": Geometry(9, 7)},
    "following": {"geometry": Geometry(9, 8, Following())},
    "backbone": {"encoder": EncoderSpec("s3d", (1, 1, 1, 1), 16)},
    "blocks_per_stage": {"encoder": EncoderSpec("resnet2d3d", (2, 1, 1, 1), 16)},
    "width": {"encoder": EncoderSpec("resnet2d3d", (1, 1, 1, 1), 32)},
    "pooling": {"encoder": EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, pooling="thirds")},
    "cells": {"encoder": EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, cells=2)},
    "embedding_dim": {"embedding_dim": 5},
    "weights_sha256": {"weights_sha256": "1" * 64},
    "normalisation": {"normalisation": Normalisation((0.5, 0.5, 0.25), (1.0, 1.0, 2.0))},
}
_WITHIN_ONE_MODEL = ("method", "weights_sha256", "normalisation")
FLOW_CHANGES: dict[str, dict[str, Any]] = {
    "interval_seconds": {"flow": FlowSpec(interval_seconds=0.1)},
    "algorithm": {"flow": FlowSpec(algorithm="tvl1")},
    "size_px": {"flow": FlowSpec(size_px=64)},
}


def _leaves(contract: ModelContract) -> set[str]:
    """Names of the contract's fields, those of its parts in place of the parts."""
    names = set()
    for field in dataclasses.fields(contract):
        value = getattr(contract, field.name)
        names |= {part.name for part in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else {field.name}
    return names


def test_the_changes_below_touch_every_field(make_contract: MakeContract) -> None:
    assert _leaves(make_contract(**FLOW)) == {*CHANGES, *FLOW_CHANGES, "labels", "classifier", "made_by", "people_by"}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_the_fingerprint_changes_with_every_field(changes: dict[str, Any], make_contract: MakeContract) -> None:
    assert make_contract(**changes).fingerprint != make_contract().fingerprint


@pytest.mark.parametrize("changes", FLOW_CHANGES.values(), ids=FLOW_CHANGES)
def test_the_fingerprint_changes_with_what_flow_measures(changes: dict[str, Any], make_contract: MakeContract) -> None:
    assert make_contract(**FLOW | changes).fingerprint != make_contract(**FLOW).fingerprint


def test_the_fingerprint_ignores_labels_and_classifier(make_contract: MakeContract) -> None:
    assert make_contract(**LABELLED).fingerprint == make_contract().fingerprint
    gru = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, "gru")
    assert make_contract(labels=("a", "b", "c"), encoder=gru).fingerprint == make_contract().fingerprint


def test_the_fingerprint_is_the_same_in_every_process(make_contract: MakeContract) -> None:
    # Golden: an index made with one version of the code must open with the next.
    assert make_contract().fingerprint == "aa848a14a0b53fafc413068734a7441f8c0d2326af6c89ccaad63fe7fdced986"


def test_a_flow_contract_older_than_the_size_reads_as_one_of_the_default_size(make_contract: MakeContract) -> None:
    contract = make_contract(**FLOW)
    content = json.loads(contract.to_json())
    # Golden: what the version before the key wrote.
    assert content["fingerprint"] == "1e4ed5bd6d5268ba8310a7fdeb049ae1a2fb4cf653048d389c43e8b68e2d37cb"
    assert content["flow"].pop("size_px") == 128
    assert ModelContract.from_json(json.dumps(content)) == contract
    other = make_contract(**FLOW_CHANGES["size_px"] | {"view": "flow"})
    assert ModelContract.from_json(other.to_json()) == other


def test_who_made_the_views_is_named_and_changes_no_fingerprint(make_contract: MakeContract) -> None:
    before = make_contract(**FLOW)
    contract = make_contract(**FLOW, made_by=("dis r1 (opencv 4.11)", "dis r1 (opencv 5.0)"))
    assert json.loads(contract.to_json())["made_by"] == list(contract.made_by)
    assert ModelContract.from_json(contract.to_json()) == contract
    assert contract.fingerprint == before.fingerprint
    assert contract.is_compatible(before)
    assert "made_by" not in before.to_dict()


def test_how_people_are_followed_is_said_and_who_found_them_changes_no_fingerprint(make_contract: MakeContract) -> None:
    before = make_contract(**CHANGES["following"])
    contract = dataclasses.replace(before, people_by=("blazepose-full r1 (mediapipe 0.10)",))
    content = json.loads(contract.to_json())
    assert content["geometry"]["following"] == dataclasses.asdict(Following())
    assert content["people_by"] == list(contract.people_by)
    assert ModelContract.from_json(contract.to_json()) == contract
    assert contract.fingerprint == before.fingerprint
    assert contract.is_compatible(before)


@pytest.mark.parametrize("change", dataclasses.asdict(Following(margin=0.5)))
def test_the_fingerprint_changes_with_how_people_are_followed(change: str, make_contract: MakeContract) -> None:
    other = {"by": "mask"}.get(change, 0.75)
    changed, plain = (
        make_contract(geometry=Geometry(9, 8, following))
        for following in (Following(**{change: other}), Following())  # type: ignore[arg-type]
    )
    assert changed.fingerprint != plain.fingerprint
    assert not changed.is_compatible(plain)


def test_contracts_that_follow_nobody_say_nothing_of_it(make_contract: MakeContract) -> None:
    content = make_contract().to_dict()
    assert set(content["geometry"]) == {"resize_px", "crop_px"}
    assert "people_by" not in content


@pytest.mark.parametrize("path", sorted(PACKED_BEFORE.glob("views/*/contract.json")), ids=lambda path: path.parent.name)
def test_packed_contracts_of_before_are_read_and_written_as_they_are(path: Path) -> None:
    text = path.read_text()
    contract = ModelContract.from_json(text)
    assert contract.made_by == ()
    assert contract.to_json() == text


def test_what_encoders_keep_of_order_and_place_is_written_only_where_it_is_not_as_before(
    make_contract: MakeContract,
) -> None:
    before = json.loads(make_contract().to_json())
    assert {"pooling", "cells"}.isdisjoint(before["encoder"])
    contract = make_contract(encoder=EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, pooling="thirds", cells=2))
    content = json.loads(contract.to_json())
    assert (content["encoder"]["pooling"], content["encoder"]["cells"]) == ("thirds", 2)
    assert content["tensors"][EMBEDDING] == ["float32", ["B", 12]]
    del content["encoder"]["pooling"], content["encoder"]["cells"]
    with pytest.raises(MismatchError, match="was changed after it was written"):
        ModelContract.from_json(json.dumps(content))


def test_thirds_make_a_clips_vector_three_times_as_long_as_a_blocks(make_contract: MakeContract) -> None:
    contract = make_contract(**LABELLED | {"encoder": dataclasses.replace(LABELLED["encoder"], pooling="thirds")})
    assert contract.vector_dim == 12
    assert contract.output_shapes == {EMBEDDING: (12,), BLOCKS: (2, 4), LOGITS: (2,), BLOCK_LOGITS: (2, 6)}
    assert make_contract().vector_dim == make_contract().embedding_dim


def test_normalisation_is_part_of_the_fingerprint(make_contract: MakeContract, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make_contract().fingerprint
    monkeypatch.setitem(VIEWS, "rgb", dataclasses.replace(VIEWS["rgb"], mean=(0.5, 0.5, 0.5)))
    assert make_contract().fingerprint != before


@pytest.mark.parametrize("changes", [{}, LABELLED, FLOW, *CHANGES.values()])
def test_json_gives_the_same_contract_back(changes: dict[str, Any], make_contract: MakeContract) -> None:
    contract = make_contract(**changes)
    again = ModelContract.from_json(contract.to_json())
    assert again == contract
    assert again.fingerprint == contract.fingerprint
    assert hash(again) == hash(contract)


def test_json_tells_other_readers_the_tensors_and_the_normalisation(make_contract: MakeContract) -> None:
    content = json.loads(make_contract(**LABELLED).to_json())
    assert content["tensors"] == {
        CLIP: ["uint8", ["B", 2, 3, 8, 8, 3]],
        EMBEDDING: ["float32", ["B", 4]],
        BLOCKS: ["float32", ["B", 2, 4]],
        LOGITS: ["float32", ["B", 2]],
    }
    assert content["normalisation"] == {"mean": list(VIEWS["rgb"].mean), "std": list(VIEWS["rgb"].std)}
    assert LOGITS not in json.loads(make_contract().to_json())["tensors"]


def test_an_encoders_own_normalisation_takes_the_place_of_the_view_tables(make_contract: MakeContract) -> None:
    own = Normalisation((0.5, 0.5, 0.25), (1.0, 1.0, 2.0))
    contract = make_contract(normalisation=own)
    assert contract.view_spec == dataclasses.replace(VIEWS["rgb"], mean=own.mean, std=own.std)
    assert json.loads(contract.to_json())["normalisation"] == {"mean": [0.5, 0.5, 0.25], "std": [1.0, 1.0, 2.0]}
    assert make_contract().view_spec == VIEWS["rgb"]


def test_a_constant_plane_is_of_the_model_and_no_channel_of_its_clips(make_contract: MakeContract) -> None:
    row = VIEWS["rgb"]
    plain, planed = make_contract(), make_contract(normalisation=Normalisation(row.mean, row.std, 0.07))
    assert ModelContract.from_json(planed.to_json()) == planed
    assert json.loads(planed.to_json())["normalisation"]["plane"] == 0.07
    assert "plane" not in json.loads(plain.to_json())["normalisation"]  # contracts of before stay as they were written
    assert planed.fingerprint != plain.fingerprint
    assert planed.clip_shape == plain.clip_shape
    assert planed.is_compatible(plain)


def test_shapes_follow_the_view(make_contract: MakeContract) -> None:
    assert make_contract(view="pose").clip_shape == (2, 3, 8, 8, 17)
    labelled = make_contract(**LABELLED)
    assert labelled.output_shapes == {EMBEDDING: (4,), BLOCKS: (2, 4), LOGITS: (2,), BLOCK_LOGITS: (2, 2)}
    gru = make_contract(**LABELLED | {"encoder": dataclasses.replace(labelled.encoder, classifier="gru")})
    assert gru.output_shapes == {EMBEDDING: (4,), BLOCKS: (2, 4), LOGITS: (2,)}
    assert list(make_contract().output_shapes) == [EMBEDDING, BLOCKS]


def _set(content: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        content = content[parent]
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("method", "other"),
        ("view", "mask"),
        ("clip.step_seconds", 0.2),
        ("clip.num_blocks", 7),
        ("geometry.resize_px", 99),
        ("encoder.width", 17),
        ("embedding_dim", 8),
        ("weights_sha256", "f" * 64),
        ("fingerprint", "0" * 64),
    ],
)
def test_a_changed_value_shows_as_another_fingerprint(path: str, value: object, make_contract: MakeContract) -> None:
    content = json.loads(make_contract().to_json())
    _set(content, path, value)
    with pytest.raises(MismatchError, match=r"'rgb\.json' was changed after it was written"):
        ModelContract.from_json(json.dumps(content), source="'rgb.json'")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("view", "heat"),
        ("view", "flow"),
        ("view", 5),
        ("clip", None),
        ("clip", [1, 2]),
        ("clip.num_blocks", 0),
        ("clip.num_blocks", "8"),
        ("clip.colour", "red"),
        ("clip.tail", "cut"),
        ("geometry", {}),
        ("geometry.crop_px", 1000),
        ("geometry.following", 5),
        ("geometry.following", {"by": "depth"}),
        ("geometry.following", {"margin": "wide"}),
        ("geometry.following", {"colour": 1}),
        ("people_by", "blazepose"),
        ("encoder", 3),
        ("encoder.blocks_per_stage", 2),
        ("encoder.pooling", "halves"),
        ("encoder.cells", 0),
        ("encoder.cells", "2"),
        ("labels", None),
        ("made_by", "dis"),
        ("made_by", [1]),
        ("flow", {"interval_seconds": 0.1}),
    ],
)
def test_a_contract_that_makes_no_sense_is_a_mismatch(path: str, value: object, make_contract: MakeContract) -> None:
    content = json.loads(make_contract().to_json())
    _set(content, path, value)
    with pytest.raises(MismatchError, match="is no contract of schema 1"):
        ModelContract.from_json(json.dumps(content))


@pytest.mark.parametrize(("key", "value"), [("algorithm", "raft"), ("size_px", 0), ("size_px", "128"), ("colour", 1)])
def test_a_flow_that_makes_no_sense_is_a_mismatch(key: str, value: object, make_contract: MakeContract) -> None:
    content = json.loads(make_contract(**FLOW).to_json())
    _set(content, f"flow.{key}", value)
    with pytest.raises(MismatchError, match="is no contract of schema 1"):
        ModelContract.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"rgb"', "{}", "\x00\x01"])
def test_a_text_that_is_no_contract_is_a_mismatch(text: str) -> None:
    with pytest.raises(MismatchError, match="'there' is no contract"):
        ModelContract.from_json(text, source="'there'")


@pytest.mark.parametrize("missing", ["method", "view", "clip", "geometry", "encoder", "labels", "fingerprint"])
def test_a_missing_section_is_a_mismatch(missing: str, make_contract: MakeContract) -> None:
    content = json.loads(make_contract().to_json())
    del content[missing]
    with pytest.raises(MismatchError):
        ModelContract.from_json(json.dumps(content))


@pytest.mark.parametrize(("view", "flow"), [("flow", None), ("rgb", FlowSpec())])
def test_exactly_a_flow_contract_says_what_flow_measures(
    view: str, flow: FlowSpec | None, make_contract: MakeContract
) -> None:
    with pytest.raises(ValueError, match="flow section"):
        make_contract(view=view, flow=flow)


@pytest.mark.parametrize("name", CHANGES)
def test_only_weights_labels_method_and_normalisation_may_differ_between_compatible_models(
    name: str, make_contract: MakeContract
) -> None:
    changed = make_contract(**CHANGES[name])
    assert changed.is_compatible(make_contract()) == (name in _WITHIN_ONE_MODEL)
    assert make_contract().is_compatible(changed) == (name in _WITHIN_ONE_MODEL)


def test_a_labelled_model_is_compatible_with_its_unlabelled_twin(make_contract: MakeContract) -> None:
    assert make_contract(**LABELLED).is_compatible(make_contract())


def test_a_fused_fingerprint_depends_on_the_views_and_their_relative_weights_only() -> None:
    fingerprints = {"rgb": "a", "flow": "b"}
    equal = fused_fingerprint(fingerprints, {"rgb": 1.0, "flow": 1.0})
    assert equal == fused_fingerprint(dict(reversed(fingerprints.items())), {"flow": 7.0, "rgb": 7.0, "pose": 3.0})
    assert equal not in ("a", "b")
    others = [
        fused_fingerprint(fingerprints, {"rgb": 2.0, "flow": 1.0}),
        fused_fingerprint({"rgb": "b", "flow": "a"}, {"rgb": 1.0, "flow": 1.0}),
        fused_fingerprint({"rgb": "a", "flow": "c"}, {"rgb": 1.0, "flow": 1.0}),
        fused_fingerprint({"rgb": "a", "pose": "b"}, {"rgb": 1.0, "pose": 1.0}),
        fused_fingerprint({**fingerprints, "pose": "c"}, {"rgb": 1.0, "flow": 1.0, "pose": 1.0}),
    ]
    assert len({equal, *others}) == 6


def test_one_view_alone_keeps_its_own_fingerprint() -> None:
    assert fused_fingerprint({"rgb": "a"}, {"rgb": 3.0, "flow": 1.0}) == "a"
