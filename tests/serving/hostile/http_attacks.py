"""What a stranger may send to the HTTP port: no HTTP, half of it, other lengths than it says, JSON that is no question.

`KILLERS` are known to end the server of the `nvidia-pytriton` wheel, or to take gigabytes of it; they are kept apart.
"""

import base64
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["KILLERS", "http_attacks"]

_INFER = "/v2/models/cocon_rgb/infer"
_PATHS = (
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/cocon_rgb",
    "/v2/models/cocon_rgb/versions/1/ready",
    "/v2/models/cocon_rgb/config",
    "/v2/models/cocon_rgb/stats",
    "/v2/models/cocon_rgb/generate",
    "/v2/models/cocon_rgb/generate_stream",
    _INFER,
    "/v2/models/cocon_rgb/trace/setting",
    "/v2/models/../../../etc/passwd/config",
    "/v2/models/%2e%2e%2f%2e%2e/infer",
    "/v2/models/%00/versions/%ff/infer",
    "/v2/repository/index",
    "/v2/repository/models/cocon_rgb/load",
    "/v2/repository/models/cocon_rgb/unload",
    "/v2/repository/models/..%2fcanary/load",
    "/v2/systemsharedmemory/status",
    "/v2/systemsharedmemory/region/x/register",
    "/v2/systemsharedmemory/unregister",
    "/v2/cudasharedmemory/region/x/register",
    "/v2/logging",
    "/v2/trace/setting",
    "/",
    "//",
    "/" + "a" * 20_000,
    "/v2/models/" + "a" * 5000 + "/infer",
)
_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "\x00")
_LENGTHS = ("-1", "0", "1", "99999999999999999999", "18446744073709551615", "abc", "", "5, 7", "0x10")


def message(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request; `headers` are given as they stand, underscores for dashes."""
    given = {"Host": "localhost", "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def http_attacks(
    rng: random.Random, num_random: int, canary: Path = Path("/tmp/canary")
) -> Iterator[tuple[str, bytes]]:
    """All that is written by hand, then `num_random` random ones: the kind, and the bytes to send.

    `canary` is as for `grpc_attacks`.
    """
    for method in _METHODS:
        for path in _PATHS:
            yield "every verb on every path", message(method, path)
    yield from _broken_frames()
    for body in _wrong_bodies(canary):
        for path in (_INFER, "/v2/repository/models/cocon_rgb/load", "/v2/logging", "/v2/trace/setting"):
            yield "JSON that is no question", message("POST", path, body)
    right = message("POST", _INFER, json.dumps(_question()).encode())
    for number in range(num_random):
        yield _random_attack(rng, right, number)


def _broken_frames() -> Iterator[tuple[str, bytes]]:
    kind = "HTTP that is cut, or lies about its length"
    body = json.dumps(_question()).encode()
    for length in _LENGTHS:
        yield kind, message("POST", _INFER, body, Content_Length=length)
        yield kind, message("POST", _INFER, body, Inference_Header_Content_Length=length)
    for coding in ("chunked", "gzip, chunked", "identity", "\x00", "a" * 10_000):
        yield kind, message("POST", _INFER, body, Transfer_Encoding=coding)
    for chunk in (b"FFFFFFFFFFFFFFFF\r\n", b"-1\r\n", b"zz\r\nzz\r\n", b"5\r\nab", b"1\r\na\r\n" * 1000):
        yield kind, message("POST", _INFER, Transfer_Encoding="chunked") + chunk
    for coding in ("gzip", "deflate", "br", "gzip, gzip"):
        for packed in (b"noise", gzip.compress(body), gzip.compress(body)[:-4], gzip.compress(b"\0" * 100_000)):
            yield kind, message("POST", _INFER, packed, Content_Encoding=coding)
    yield kind, message("POST", _INFER, body, **{f"X-{number}": "y" * 100 for number in range(500)})
    yield kind, message("POST", _INFER, body, Accept="\udcff\udcfe", Host="a" * 10_000)
    for sent in (b"", b"\r\n\r\n", b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        yield kind, sent
    yield kind, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100)


def _question() -> dict[str, Any]:
    return {"inputs": [{"name": "clip", "shape": [1, 2, 2, 8, 8, 3], "datatype": "UINT8", "data": [0] * 768}]}


def _wrong_bodies(canary: Path) -> Iterator[bytes]:
    yield from (b"", b"{", b"[]", b"null", b"1e999", b'"', b"\xff\xfe", b'{"inputs": 1}', b'{"inputs": []}', b"[" * 500)
    right = _question()["inputs"][0]
    wrong: list[dict[str, Any]] = [
        {"name": 1},
        {"name": "a" * 100_000},
        {"shape": "many"},
        {"shape": [-1, 2, 2, 8, 8, 3]},
        {"shape": [1 << 62] * 6},
        {"shape": [1.5]},
        {"shape": []},
        {"datatype": "FP32"},
        {"datatype": None},
        {"data": "text"},
        {"data": [[0] * 767]},
        {"data": [-1] * 768},
        {"data": [1e300] * 768},
        {"data": [None] * 768},
        {"data": []},
        {"parameters": {"binary_data_size": -1}},
        {"parameters": {"binary_data_size": 1 << 62}},
        {"parameters": {"shared_memory_region": "x", "shared_memory_byte_size": -1}},
    ]
    for change in wrong:
        yield json.dumps({"inputs": [right | change]}).encode()
    for outputs in ([{"name": "nothing"}], [{"name": "embedding", "parameters": {"classification": 1 << 60}}], [1], 5):
        yield json.dumps({"inputs": [right], "outputs": outputs}).encode()
    for parameters in ({"sequence_id": -1}, {"priority": "x"}, {"timeout": -1}, 5, [], {"a" * 10_000: {}}):
        yield json.dumps({"inputs": [right], "parameters": parameters}).encode()
    yield json.dumps({"log_file": str(canary), "log_verbose_level": 1 << 31}).encode()
    yield json.dumps({"trace_file": str(canary), "trace_level": ["TENSORS"], "trace_rate": "1"}).encode()
    code = base64.b64encode(f"open({str(canary)!r}, 'w')".encode()).decode()
    yield json.dumps({"parameters": {"config": '{"backend": "python"}', "file:1/model.py": code}}).encode()


def _random_attack(rng: random.Random, right: bytes, number: int) -> tuple[str, bytes]:
    if number % 3 == 0:
        return "noise", rng.randbytes(rng.choice((1, 30, 1000, 100_000)))
    body = bytearray(right)
    if number % 3 == 1:
        return "cut short", bytes(body[: rng.randrange(len(body))])
    for _ in range(rng.choice((1, 5, 30))):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return "flipped bytes", bytes(body)


def _deep_json() -> bytes:
    deep = b"[" * 73_000 + b"0" + b"]" * 73_000
    return message("POST", _INFER, json.dumps(_question()).encode().replace(b"[" + b"0, " * 767 + b"0]", deep))


def _tiny_chunks() -> bytes:
    # A length beside the coding would have it read in another way.
    head = b"POST /v2/models/cocon_rgb/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"1\r\n \r\n" * 1_000_000 + b"0\r\n\r\n"


def _bomb() -> bytes:
    return message("POST", _INFER, gzip.compress(bytes(1 << 30)), Content_Encoding="gzip")


KILLERS = {
    "146 kB of nested JSON": _deep_json,
    "6 MB of tiny chunks": _tiny_chunks,
    "1 MB that unpack to 1 GiB": _bomb,
}
