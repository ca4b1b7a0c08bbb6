"""The parameters of a request, as clients of any language send them."""

import json

import pytest

from cocon.core.errors import UsageError
from cocon.serving.backends.cocon_video.asked import Asked


def test_a_request_without_parameters_asks_for_the_defaults() -> None:
    assert Asked.of("") == Asked.of("{}") == Asked((), 0.0, "video", is_strict=False)
    assert Asked.of("").suffix == ""


def test_numbers_and_booleans_may_come_as_strings() -> None:
    as_strings = {"views": "rgb, flow", "overlap": "0.5", "name": "films/a.MP4", "strict": "true"}
    typed = as_strings | {"overlap": 0.5, "strict": True, "triton_enable_empty_final_response": False}
    assert Asked.of(json.dumps(as_strings)) == Asked.of(json.dumps(typed))
    assert Asked.of(json.dumps(typed)) == Asked(("rgb", "flow"), 0.5, "films/a.MP4", is_strict=True)
    assert Asked.of(json.dumps(typed)).suffix == ".MP4"


@pytest.mark.parametrize("name", ["a/..", "a.mp4/b", "x.mp4\n", "a.m p", "a.$(id)", "a." + "m" * 11])
def test_no_name_reaches_into_the_file_system(name: str) -> None:
    assert Asked(name=name).suffix == ""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"view": "rgb"}, "parameter 'view' is unknown; known: views, overlap, name, strict"),
        ({"overlap": "much"}, "parameter overlap (much) must be a number"),
        ({"overlap": True}, "parameter overlap (True) must be a number"),
        ({"overlap": 0.95}, "overlap (0.95) must be from 0 to 0.9"),
        ({"overlap": "nan"}, "overlap (nan) must be from 0 to 0.9"),
        ({"strict": "perhaps"}, "parameter strict (perhaps) must be true or false"),
        ({"views": 3}, "parameter views (3) must be a string"),
        ({"name": "a" * 5000}, "parameter name has 5000 characters, at most 4096"),
    ],
)
def test_what_cannot_be_meant_is_said(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        Asked.of(json.dumps(parameters))
    assert str(refused.value) == message
