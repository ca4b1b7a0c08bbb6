"""The queue of a model is bounded by what its requests take."""

import pytest
from tritonclient.grpc import model_config_pb2 as triton

from cocon.export.repository.queueing import bound_queue


@pytest.mark.parametrize(
    ("row_bytes", "max_batch_size", "expected"),
    [(100, 16, 64), (2 << 20, 16, 16), (1 << 20, 16, 32), (1 << 30, 0, 16), (1 << 20, 0, 64)],
)
def test_fewer_large_requests_wait_than_small_ones(row_bytes: int, max_batch_size: int, expected: int) -> None:
    config = triton.ModelConfig(max_batch_size=max_batch_size)
    bound_queue(config, row_bytes=row_bytes)
    policy = config.dynamic_batching.default_queue_policy
    assert (policy.max_queue_size, policy.default_timeout_microseconds) == (expected, 30_000_000)
    assert (policy.allow_timeout_override, policy.timeout_action) == (True, triton.ModelQueuePolicy.REJECT)
    assert (config.dynamic_batching.priority_levels, config.dynamic_batching.default_priority_level) == (2, 2)
