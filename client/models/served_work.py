"""What a server has done for one of its models, between two moments: how long requests waited, and were computed.

    before = host.statistics(model.name, model.version)
    model.embed(clips)
    work = host.statistics(model.name, model.version).since(before)
    work.queue_s / work.num_requests

Triton counts for all of its callers together: the difference is of this one only where no other asks meanwhile.
"""

from dataclasses import astuple, dataclass
from typing import Any

__all__ = ["ServedWork"]

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ServedWork:
    """Sums over the requests for one version of a model, all in one batch counted each with the batch's time.

    Attributes:
        num_requests: That were answered.
        num_failed: That were refused, or failed.
        num_rows: Clips, frames or whatever a row of the model's input is.
        num_executions: Batches that the model ran on; the server may join requests.
        request_s: From a request's arrival to its answer.
        queue_s: Of those, waiting for others and for an instance of the model.
        input_s: Of those, making one input of a batch's requests.
        infer_s: Of those, in the model.
        output_s: Of those, making answers of its output.
    """

    num_requests: int
    num_failed: int
    num_rows: int
    num_executions: int
    request_s: float
    queue_s: float
    input_s: float
    infer_s: float
    output_s: float

    @classmethod
    def of(cls, message: Any) -> "ServedWork":  # noqa: ANN401  # generated, untyped
        """From a `ModelStatistics` of Triton's protocol."""
        sums = message.inference_stats
        durations = (sums.success, sums.queue, sums.compute_input, sums.compute_infer, sums.compute_output)
        return cls(
            sums.success.count,
            sums.fail.count,
            message.inference_count,
            message.execution_count,
            *(duration.ns / _NS_PER_S for duration in durations),
        )

    def since(self, earlier: "ServedWork") -> "ServedWork":
        """What was done after an earlier moment; all of it where the server has begun to count anew since."""
        differences = [now - then for now, then in zip(astuple(self), astuple(earlier), strict=True)]
        return self if min(differences) < 0 else ServedWork(*differences)

    @property
    def mean_batch_size(self) -> float:
        """Rows of a batch; 0 where there was none."""
        return self.num_rows / self.num_executions if self.num_executions else 0.0

    @property
    def overhead_s(self) -> float:
        """What of the requests' time was neither waiting nor computing."""
        return max(0.0, self.request_s - self.queue_s - self.input_s - self.infer_s - self.output_s)
