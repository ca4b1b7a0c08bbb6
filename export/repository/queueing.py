"""How many requests may wait for a model: a server that has too many says so at once, and is not filled by them.

bound_queue(config, row_bytes=6 * 5 * 128 * 128 * 3)

A request that finds the queue full is refused (UNAVAILABLE, "Exceeds maximum queue size"); our client asks again until
its deadline. An ensemble has no queue of its own: those of its parts bound it.
"""

from tritonclient.grpc import model_config_pb2 as triton

__all__ = ["bound_queue"]

# What waits may take of a server's memory, where every request is as large as one may be.
_MOST_BYTES = 512 << 20
# Enough that a batch is always ready when one is done; who waits behind more is answered no sooner than if refused.
_FEWEST, _MOST = 16, 64
# As long as our client waits for an answer, unless it is told otherwise: what is older, nobody waits for.
_TIMEOUT_US = 30_000_000
# 1 goes before 2. Who says nothing has 2, so that somebody who waits can be served before a job.
_PRIORITY_LEVELS, _DEFAULT_PRIORITY = 2, 2


def bound_queue(config: triton.ModelConfig, *, row_bytes: int) -> None:
    """Bound the queue of a model; it has a dynamic batcher afterwards, for that is whose queue it is.

    Args:
        config: Is written to; its batch size stands in it already.
        row_bytes: Size of the inputs of one row.
    """
    batching, request_bytes = config.dynamic_batching, row_bytes * max(1, config.max_batch_size)
    batching.priority_levels, batching.default_priority_level = _PRIORITY_LEVELS, _DEFAULT_PRIORITY
    policy = batching.default_queue_policy
    policy.max_queue_size = min(_MOST, max(_FEWEST, _MOST_BYTES // request_bytes))
    policy.default_timeout_microseconds = _TIMEOUT_US
    policy.allow_timeout_override = True  # who waits shorter may say so
