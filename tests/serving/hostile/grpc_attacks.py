"""What a stranger may send over gRPC: every verb; noise, right messages cut or flipped, and well-formed wrong ones.

A seed names the attacks, so one that hurts can be sent again.
"""

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from tritonclient.grpc import service_pb2

__all__ = ["SERVICE", "STREAM", "VERBS", "Attack", "grpc_attacks", "written_into_workers"]

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
VERBS = [method.name for method in SERVICE.methods]
STREAM = "ModelStreamInfer"

NAMES = (
    "",
    "cocon_nothing",
    "../../../../etc/passwd",
    "cocon_rgb/../cocon_flow",
    "cocon_rgb\0",
    "$(touch canary)",
    "`reboot`; %s%n%x",
    "a" * 100_000,
    "José \u202e\n\x1b[31m",
    "-1",
    "99999999999999999999",
)
NUMBERS = (0, 1, -1, 2, 255, 2**31 - 1, 2**32 - 1, 2**63 - 1, -(2**31), -(2**63), 2**64 - 1)


@dataclass(frozen=True, slots=True)
class Attack:
    """One request.

    Attributes:
        kind: Row of the table it is counted in.
        verb: Method of the service.
        body: What is sent, as it is.
    """

    kind: str
    verb: str
    body: bytes


def grpc_attacks(
    rng: random.Random,
    question: Any,  # a message
    num_random: int,
    names: tuple[str, ...] = (),
    canary: Path = Path("/tmp/canary"),
) -> Iterator[Attack]:
    """All that is written by hand, then random ones.

    Args:
        rng: Names the random ones.
        question: `ModelInferRequest` that the server answers as it stands: one input, in `raw_input_contents`.
        num_random: How many random ones for each verb.
        names: Names that the server knows, of models and versions.
        canary: A file that is there afterwards if a stranger had one written, or code of theirs run.
    """
    yield from wrong_questions(question)
    yield from shared_memory_attacks(question)
    yield from wrong_administration(canary)
    known = (*names, *NAMES)
    for verb in VERBS:
        for number in range(num_random):
            yield random_attack(rng, verb, question, number, known)


def wrong_questions(question: Any) -> Iterator[Attack]:
    """Questions that are well formed and wrong, each in one thing."""

    def asked(**changes: object) -> Any:
        changed = service_pb2.ModelInferRequest()
        changed.CopyFrom(question)
        for name, value in changes.items():
            setattr(changed, name, value)
        return changed

    def attack(changed: Message) -> Attack:
        return Attack("a question wrong in one thing", "ModelInfer", changed.SerializeToString())

    for name in NAMES:
        yield attack(asked(model_name=name))
        if name:  # no version is a right one
            yield attack(asked(model_version=name))
    yield from map(attack, wrong_tensors(asked))
    yield from map(attack, wrong_parameters(asked))


def wrong_tensors(asked: Any) -> Iterator[Message]:
    """Shapes, types and contents that do not belong together, or to the model."""
    shape, contents = list(asked().inputs[0].shape), asked().raw_input_contents[0]
    for wrong in ([], shape[1:], [*shape, 1], [-1, *shape[1:]], [0, *shape[1:]], [2**62, *shape[1:]], [-(2**63)] * 6):
        changed = asked()
        changed.inputs[0].shape[:] = wrong
        yield changed
    for empty in ([0, *shape[1:]], [2, 0, *shape[2:]]):  # nothing for nothing: no row, or rows of nothing
        changed = asked()
        changed.inputs[0].shape[:] = empty
        changed.raw_input_contents[0] = b""
        yield changed
    changed = asked()
    changed.inputs[0].shape[:] = [1000, *shape[1:]]
    changed.raw_input_contents[0] = contents * 1000
    yield changed  # more rows than the model takes
    for kind in ("", "FP32", "BYTES", "UINT8 ", "uint8", "FP128", "x" * 10_000):
        changed = asked()
        changed.inputs[0].datatype = kind
        yield changed
    for wrong in (b"", contents[:-1], contents + b"\0", contents * 64, struct.pack("<I", 2**32 - 1)):
        changed = asked()
        changed.raw_input_contents[0] = wrong
        yield changed
    for name in NAMES:
        changed = asked()
        changed.inputs[0].name = name
        yield changed
        changed = asked()
        changed.outputs.add(name=name)
        yield changed
    for number in (0, 2, 1000):
        changed = asked()
        changed.raw_input_contents[:] = [contents] * number
        yield changed
        changed = asked()
        sample = changed.inputs[0]
        changed.ClearField("inputs")
        changed.inputs.extend([sample] * number)
        yield changed
    changed = asked()  # typed contents beside raw ones
    changed.inputs[0].contents.fp32_contents.extend([1.0] * 1000)
    yield changed
    changed = asked()
    changed.ClearField("raw_input_contents")
    changed.inputs[0].contents.bytes_contents.extend([b"\0" * 100] * 100)
    yield changed


def wrong_parameters(asked: Any) -> Iterator[Message]:
    """Parameters of requests and tensors that mean something to Triton, with values that mean nothing."""
    of_requests = ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output")
    for name in (*of_requests, "triton_enable_empty_final_response", "headers", *NAMES[:4]):
        for value in ({"int64_param": -1}, {"string_param": "x" * 1000}, {"bool_param": True}, {}):
            changed = asked()
            for key, given in value.items():
                setattr(changed.parameters[name], key, given)
            if not value:
                changed.parameters[name].SetInParent()
            yield changed
    for name in ("classification", "shared_memory_byte_size", "shared_memory_offset", "binary_data_size"):
        for number in NUMBERS[:8]:
            changed = asked()
            output = changed.outputs.add(name="embedding")
            output.parameters[name].int64_param = min(number, 2**63 - 1)
            changed.inputs[0].parameters[name].int64_param = min(number, 2**63 - 1)
            yield changed


def shared_memory_attacks(question: Any) -> Iterator[Attack]:
    """Memory that is not there, not the asker's, or not as large as it is said to be."""
    kind = "shared memory that is not there or not theirs"
    for key in ("/nothing", "", "/", "../../etc/passwd", "/../../etc/passwd", "a" * 5000, "/x\0y", "/dev/shm"):
        for size, offset in ((0, 0), (1, 2**63), (2**63, 0), (2**64 - 1, 2**64 - 1), (4096, 4096)):
            request = service_pb2.SystemSharedMemoryRegisterRequest(name="x", key=key, byte_size=size, offset=offset)
            yield Attack(kind, "SystemSharedMemoryRegister", request.SerializeToString())
    for handle in (b"", b"\0" * 64, b"\xff" * 64, b"x" * 100_000):
        request = service_pb2.CudaSharedMemoryRegisterRequest(name="x", raw_handle=handle, device_id=-1, byte_size=64)
        yield Attack(kind, "CudaSharedMemoryRegister", request.SerializeToString())
    for region in ("x", "", "a" * 5000):
        for size, offset in ((64, 0), (-1, -1), (2**62, 2**62)):
            changed = service_pb2.ModelInferRequest()
            changed.CopyFrom(question)
            output = changed.outputs.add(name="embedding")
            for tensor in (changed.inputs[0], output):
                tensor.parameters["shared_memory_region"].string_param = region
                tensor.parameters["shared_memory_byte_size"].int64_param = size
                tensor.parameters["shared_memory_offset"].int64_param = offset
            yield Attack(kind, "ModelInfer", changed.SerializeToString())


def written_into_workers(question: Any, regions: Sequence[Path]) -> Iterator[Attack]:
    """Have answers written into the memory by which the server and its workers talk; its names are there to be seen."""
    kind = "answers into the workers' own memory"
    for region in regions:
        size = region.stat().st_size
        register = service_pb2.SystemSharedMemoryRegisterRequest(
            name=region.name, key=f"/{region.name}", byte_size=size
        )
        yield Attack(kind, "SystemSharedMemoryRegister", register.SerializeToString())
        for offset in range(0, size, max(64, size // 40 // 64 * 64)):
            changed = service_pb2.ModelInferRequest()
            changed.CopyFrom(question)
            output = changed.outputs.add(name="embedding")
            output.parameters["shared_memory_region"].string_param = region.name
            output.parameters["shared_memory_byte_size"].int64_param = min(size - offset, 4096)
            output.parameters["shared_memory_offset"].int64_param = offset
            yield Attack(kind, "ModelInfer", changed.SerializeToString())


def wrong_administration(canary: Path) -> Iterator[Attack]:
    """What only the operator may do: files of their choice, models of their making, everything ended."""
    kind = "administration by a stranger"
    for path in (str(canary), "/proc/self/mem", "../canary", "a" * 5000, "\n"):
        settings = service_pb2.LogSettingsRequest()
        settings.settings["log_file"].string_param = path
        yield Attack(kind, "LogSettings", settings.SerializeToString())
        trace = service_pb2.TraceSettingRequest()
        trace.settings["trace_file"].value.append(path)
        trace.settings["trace_level"].value.append("TENSORS")
        trace.settings["trace_rate"].value.append("1")
        yield Attack(kind, "TraceSetting", trace.SerializeToString())
    for level in (NUMBERS[4], NUMBERS[6]):
        settings = service_pb2.LogSettingsRequest()
        settings.settings["log_verbose_level"].uint32_param = level
        yield Attack(kind, "LogSettings", settings.SerializeToString())
    for name in ("cocon_rgb", "canary", "../canary"):
        load = service_pb2.RepositoryModelLoadRequest(model_name=name)
        load.parameters["config"].string_param = '{"backend": "python", "max_batch_size": 0}'
        load.parameters["file:1/model.py"].bytes_param = f"open({str(canary)!r}, 'w')".encode()
        yield Attack(kind, "RepositoryModelLoad", load.SerializeToString())
        load.parameters["file:../../canary"].bytes_param = b"x"
        yield Attack(kind, "RepositoryModelLoad", load.SerializeToString())
        unload = service_pb2.RepositoryModelUnloadRequest(model_name=name)
        yield Attack(kind, "RepositoryModelUnload", unload.SerializeToString())
    for verb in ("SystemSharedMemoryUnregister", "CudaSharedMemoryUnregister"):
        yield Attack(kind, verb, b"")  # no name: all of them


def random_attack(rng: random.Random, verb: str, question: Any, number: int, names: tuple[str, ...]) -> Attack:
    """Noise, a right message cut or flipped, or a well-formed message of random fields."""
    method = SERVICE.methods_by_name[verb]
    kind = service_pb2.ModelInferRequest if "Infer" in verb else getattr(service_pb2, method.input_type.name)
    if number % 4 == 0:
        return Attack("noise", verb, rng.randbytes(rng.choice((1, 7, 100, 10_000))))
    message = question if "Infer" in verb else kind()
    if number % 4 == 1 or message is not question:
        message = kind()
        fill(rng, message, names)
        if number % 4 == 1 or not message.ByteSize():
            return Attack("random fields", verb, message.SerializeToString())
    body = bytearray(message.SerializeToString())
    if number % 4 == 2:
        return Attack("cut short", verb, bytes(body[: rng.randrange(len(body))]))
    for _ in range(rng.choice((1, 3, 20))):
        body[rng.randrange(min(len(body), 200))] ^= 1 << rng.randrange(8)
    return Attack("flipped bits", verb, bytes(body))


def fill(rng: random.Random, message: Any, names: tuple[str, ...], depth: int = 0) -> None:
    """Give random fields of a message random values, those of nested messages too."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.4 or depth > 3:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            entries, value = getattr(message, field.name), field.message_type.fields_by_name["value"]
            for _ in range(rng.choice((1, 3))):
                key = rng.choice(names)[:1000]
                if value.message_type:
                    fill(rng, entries[key], names, depth + 1)
                else:
                    entries[key] = random_value(rng, value, names)
        elif field.label == FieldDescriptor.LABEL_REPEATED:
            values = getattr(message, field.name)
            for _ in range(rng.choice((1, 3, 50))):
                if field.message_type:
                    fill(rng, values.add(), names, depth + 1)
                else:
                    values.append(random_value(rng, field, names))
        elif field.message_type:
            getattr(message, field.name).SetInParent()
            fill(rng, getattr(message, field.name), names, depth + 1)
        else:
            setattr(message, field.name, random_value(rng, field, names))


def random_value(rng: random.Random, field: FieldDescriptor, names: tuple[str, ...]) -> object:
    """A value that the field may hold, and nobody would give it."""
    kinds = FieldDescriptor
    if field.cpp_type == kinds.CPPTYPE_STRING:
        return rng.randbytes(rng.choice((0, 1, 100))) if field.type == kinds.TYPE_BYTES else rng.choice(names)
    if field.cpp_type == kinds.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type in (kinds.CPPTYPE_FLOAT, kinds.CPPTYPE_DOUBLE):
        return rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e30))
    bits = 32 if field.cpp_type in (kinds.CPPTYPE_INT32, kinds.CPPTYPE_UINT32, kinds.CPPTYPE_ENUM) else 64
    is_signed = field.cpp_type in (kinds.CPPTYPE_INT32, kinds.CPPTYPE_INT64, kinds.CPPTYPE_ENUM)
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    return max(lowest, min(highest, rng.choice(NUMBERS)))
