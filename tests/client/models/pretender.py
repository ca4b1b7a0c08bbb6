"""A server that says what it is told to say, and writes nothing into the memory that it says it shares."""

import time
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2

from cocon.client.models.versions.offered import DescribedVersion
from tests.client.models.conftest import Flaky

__all__ = ["PRETENDED", "Echo", "Pretender"]


def _config(contract: str) -> Any:  # generated, untyped
    config = model_config_pb2.ModelConfig(name="m", max_batch_size=4)
    config.output.add(name="embedding", data_type=model_config_pb2.TYPE_FP32, dims=[3])
    config.parameters["contract.1"].string_value = contract
    return config


PRETENDED = DescribedVersion("m", "1", _config("{}"), "contract.1", "the model")


class Echo(Flaky):
    """Has the same model, which says the first byte of each row.

    Attributes:
        num_rows: Of each request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_rows: list[int] = []

    def ModelConfig(self, request: object, context: object) -> object:  # noqa: N802  # the protocol's name
        return service_pb2.ModelConfigResponse(config=_config("{}"))

    def ModelInfer(self, request: Any, context: object) -> object:  # noqa: N802  # likewise
        rows = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(request.inputs[0].shape)
        self.num_rows.append(len(rows))
        answer = service_pb2.ModelInferResponse(model_name="m", model_version="1")
        answer.outputs.add(name="embedding", datatype="FP32", shape=[len(rows), 3])
        answer.raw_output_contents.append(rows[:, :1].astype(np.float32).repeat(3, axis=1).tobytes())
        return answer


class Pretender(Flaky):
    """Has one model, and counts to six in each answer.

    Attributes:
        version: Of the Triton that it says it is.
        contract: Of its model.
        asked: What it was asked for, in order.
        refuses: Whether it forbids to share memory, as Triton's `--grpc-restricted-protocol=shared-memory:KEY=VALUE`.
        pause_s: How long it takes to open a region, and to answer.
        is_stuck: Whether it does not answer that it has forgotten a region.
    """

    def __init__(self, version: str = "2.51.0") -> None:
        super().__init__()
        self.version, self.contract = version, "{}"
        self.asked: list[str] = []
        self.refuses = self.is_stuck = False
        self.pause_s = 0.0

    def ServerMetadata(self, request: object, context: object) -> object:  # noqa: N802  # the protocol's name
        return service_pb2.ServerMetadataResponse(
            name="triton", version=self.version, extensions=["system_shared_memory"]
        )

    def SystemSharedMemoryRegister(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802  # likewise
        self.asked.append("register")
        time.sleep(self.pause_s)
        if self.refuses:
            reason = "This protocol is restricted, expecting header 'triton-grpc-protocol-key'"
            context.abort(grpc.StatusCode.UNAVAILABLE, reason)
        return service_pb2.SystemSharedMemoryRegisterResponse()

    def SystemSharedMemoryStatus(self, request: object, context: object) -> object:  # noqa: N802  # likewise
        return service_pb2.SystemSharedMemoryStatusResponse()

    def SystemSharedMemoryUnregister(self, request: object, context: object) -> object:  # noqa: N802  # likewise
        if self.is_stuck:
            self.asked.append("unregister")
            time.sleep(0.3)
        return service_pb2.SystemSharedMemoryUnregisterResponse()

    def ModelConfig(self, request: object, context: object) -> object:  # noqa: N802  # likewise
        self.asked.append("config")
        return service_pb2.ModelConfigResponse(config=_config(self.contract))

    def ModelInfer(self, request: Any, context: object) -> object:  # noqa: N802  # likewise
        time.sleep(self.pause_s)
        is_shared = "shared_memory_region" in request.outputs[0].parameters
        self.asked.append("shared" if is_shared else "wire")
        answer = service_pb2.ModelInferResponse(model_name="m", model_version="1")
        answer.outputs.add(name="embedding", datatype="FP32", shape=[2, 3])
        if not is_shared:
            answer.raw_output_contents.append(np.arange(6, dtype=np.float32).tobytes())
        return answer
