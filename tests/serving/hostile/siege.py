"""Attack a server, while a neighbour goes on asking it a real question."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import psutil
from tritonclient.grpc import service_pb2

from tests.serving.hostile.grpc_attacks import SERVICE, STREAM, Attack

__all__ = [
    "PATIENCE_S",
    "Neighbour",
    "Outcome",
    "new_question",
    "resident_bytes",
    "send_all",
    "send_over_http",
    "wait_for_port",
]

# A request that has had no answer for so long has hung the server.
PATIENCE_S = 20.0
_LARGEST = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# What says that the server, not the request, is at fault.
_NO_ANSWER = ("DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL without words", "UNKNOWN without words")


@dataclass(slots=True)
class Outcome:
    """What came of attacks.

    Attributes:
        statuses: By kind of attack, how often each status was the answer.
        faults: Attacks that had no clear answer, the first hundred, with what came instead.
        slowest_s: Longest time to an answer, in seconds.
    """

    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    @property
    def number(self) -> int:
        """How many were sent."""
        return sum(statuses.total() for statuses in self.statuses.values())

    def count(self, kind: str, status: str, seconds: float, fault: str = "") -> None:
        """Note one answer; a fault, where it is none that a stranger should get."""
        self.statuses.setdefault(kind, Counter())[status] += 1
        self.slowest_s = max(self.slowest_s, seconds)
        if fault and len(self.faults) < 100:
            self.faults.append(fault)


def new_question(model: str, tensor: str, shape: list[int]) -> Any:  # a message
    """A question that the model answers: random bytes of a fixed seed."""
    values = np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)
    question = service_pb2.ModelInferRequest(model_name=model)
    question.inputs.add(name=tensor, datatype="UINT8", shape=shape)
    question.raw_input_contents.append(values.tobytes())
    return question


def send_all(url: str, attacks: Iterable[Attack]) -> Outcome:
    """Send attacks one after the other over one channel, each until its answer."""
    outcome = Outcome()
    with grpc.insecure_channel(url, options=_LARGEST) as channel:
        for attack in attacks:
            began = time.monotonic()
            status, words = _answer(channel, attack)
            # Triton refuses a verb that is closed as not available; that is an answer.
            is_refusal = status == "UNAVAILABLE" and ("restricted" in words or "not allowed" in words)
            fault = "" if is_refusal or status not in _NO_ANSWER else f"{attack.kind}: {attack.verb}: {status}: {words}"
            if fault:
                fault += f": {attack.body[:2000].hex()}"
            outcome.count(attack.kind, status, time.monotonic() - began, fault)
    return outcome


def _answer(channel: grpc.Channel, attack: Attack) -> tuple[str, str]:
    """The status and its words; both of a stream's last answer, which carries errors inside."""
    path = f"/{SERVICE.full_name}/{attack.verb}"
    try:
        if attack.verb == STREAM:
            answers = list(channel.stream_stream(path)(iter([attack.body]), timeout=PATIENCE_S))
            words = [service_pb2.ModelStreamInferResponse.FromString(each).error_message for each in answers]
            return ("refused in the stream", words[-1]) if words and words[-1] else ("OK", "")
        channel.unary_unary(path)(attack.body, timeout=PATIENCE_S)
    except grpc.RpcError as error:
        words = error.details() or ""
        return f"{error.code().name}{'' if words else ' without words'}", words
    return "OK", ""


def wait_for_port(address: tuple[str, int]) -> None:
    """Wait until somebody listens: Triton opens HTTP after gRPC."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=PATIENCE_S).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nobody listens on {address}")


def send_over_http(address: tuple[str, int], attacks: Iterable[tuple[str, bytes]]) -> Outcome:
    """Send bytes to the HTTP port, each over a connection of its own, and read what comes.

    A connection that is closed without a word is an answer to what is no HTTP.
    """
    outcome = Outcome()
    for kind, sent in attacks:
        began = time.monotonic()
        status = _http_status(address, sent)
        fault = f"{kind}: {status}: {sent[:300]!r}" if status.startswith(("no answer", "no connection")) else ""
        outcome.count(kind, status, time.monotonic() - began, fault)
    return outcome


def _http_status(address: tuple[str, int], sent: bytes) -> str:
    try:
        connection = socket.create_connection(address, timeout=PATIENCE_S)
    except ConnectionRefusedError:
        return "no connection"
    with connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            head = connection.recv(4096)
        except TimeoutError:
            return "no answer"
        except OSError:
            return "closed"
    first, _, _ = head.partition(b"\r\n")
    return first.split(b" ")[1].decode(errors="replace") if first.startswith(b"HTTP/") else "closed"


class Neighbour:
    """Another client of the server, whose right questions must have right answers all the time.

    Attributes:
        num_answers: Right answers so far.
        faults: What was said instead of a right answer.
    """

    def __init__(self, url: str, question: Any) -> None:
        self.num_answers = 0
        self.faults: list[str] = []
        self._url, self._body = url, question.SerializeToString()
        self._is_over = threading.Event()
        self._expected: list[bytes] = []

    @contextmanager
    def asking(self) -> Iterator["Neighbour"]:
        """Ask inside, again and again, in a thread of its own."""
        self._expected = self._ask()
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._is_over.set()
            thread.join()

    def _ask(self) -> list[bytes]:
        path = f"/{SERVICE.full_name}/ModelInfer"
        with grpc.insecure_channel(self._url, options=_LARGEST) as channel:
            answer = channel.unary_unary(path)(self._body, timeout=PATIENCE_S)
        response = service_pb2.ModelInferResponse.FromString(answer)
        return list(response.raw_output_contents)

    def _run(self) -> None:
        self._ask_and_compare()
        while not self._is_over.wait(0.05):
            self._ask_and_compare()

    def _ask_and_compare(self) -> None:
        try:
            answer = self._ask()
        except grpc.RpcError as error:
            self.faults.append(f"{error.code().name}: {error.details()}")
            return
        # A row of a batch may differ in its last bits from one that is alone.
        pairs = zip(answer, self._expected, strict=True)
        if all(np.allclose(*(np.frombuffer(each, np.float32) for each in pair), atol=1e-4) for pair in pairs):
            self.num_answers += 1
        else:
            self.faults.append("another answer than before")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its children, in bytes."""
    leader = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (leader, *leader.children(recursive=True)))
