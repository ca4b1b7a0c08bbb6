"""The smallest request that a configuration allows."""

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from cocon.serving.supervision.questions import instance_count, patience_s, question


def config_of(text: str) -> ModelConfig:
    return text_format.Parse(text, ModelConfig())


def test_a_question_has_every_needed_input_and_one_row() -> None:
    config = config_of(
        """
        max_batch_size: 8
        input { name: "clip" data_type: TYPE_UINT8 dims: [ 2, 3 ] }
        input { name: "name" data_type: TYPE_STRING dims: [ -1 ] }
        input { name: "half" data_type: TYPE_FP16 dims: [ 1 ] }
        input { name: "extra" data_type: TYPE_INT64 dims: [ 1 ] optional: true }
        """
    )
    asked = question(config)
    assert [(tensor.name(), tensor.datatype(), tensor.shape()) for tensor in asked] == [
        ("clip", "UINT8", [1, 2, 3]),
        ("name", "BYTES", [1, 1]),
        ("half", "FP16", [1, 1]),
    ]


def test_a_model_without_batches_gets_its_own_shape() -> None:
    (tensor,) = question(config_of('input { name: "video" data_type: TYPE_UINT8 dims: [ -1 ] }'))
    assert tensor.shape() == [1]


def test_every_instance_is_asked() -> None:
    assert instance_count(config_of("")) == 1
    assert instance_count(config_of("instance_group { count: 2 } instance_group { count: 1 }")) == 3


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        ("", 30.0),
        ('parameters { key: "probe_timeout_s" value { string_value: "90" } }', 90.0),
        ('parameters { key: "probe_timeout_s" value { string_value: "5" } }', 30.0),
        ('parameters { key: "probe_timeout_s" value { string_value: "nan" } }', 30.0),
        ('backend: "cocon_video"', 600.0),
        ('backend: "cocon_video" parameters { key: "deadline_s" value { string_value: "100" } }', 100.0),
    ],
)
def test_a_model_may_need_longer_than_others(config: str, seconds: float) -> None:
    assert patience_s(config_of(config), 30.0) == seconds
