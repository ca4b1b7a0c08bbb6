"""What a stranger may send as a video: noise, damaged files, files that lie about themselves, and senseless wishes."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tritonclient.grpc import service_pb2

from tests.serving.hostile.grpc_attacks import NAMES, Attack

__all__ = ["damaged_videos", "sound_question", "video_attacks"]

# How files of many kinds begin; what follows is noise.
_BEGINNINGS = (
    b"",
    b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2",
    b"\x1aE\xdf\xa3\x9fB\x86\x81\x01",
    b"RIFF\xff\xff\xff\xffAVI LIST",
    b"GIF89a\xff\xff\xff\xff\xf7\0\0",
    b"FLV\x01\x05\0\0\0\x09\0\0\0\0",
    b"\0\0\x01\xba\x44",
    b"G\x40\0\x10\0" * 40,
    b"\x89PNG\r\n\x1a\n",
    b"OggS\0\x02",
    b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"<?xml version='1.0'?><MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>",
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    b"PK\x03\x04",
    b"\x7fELF",
)
# Parameters of a request and values that they may not have.
_WISHES: tuple[tuple[str, dict[str, object]], ...] = (
    *(("views", {"string_param": name}) for name in (*NAMES, "rgb,rgb", ",", "all,rgb", "depth")),
    *(("name", {"string_param": name}) for name in NAMES),
    *(("overlap", {"string_param": text}) for text in ("nan", "inf", "-1", "1", "0.9999999", "1e309", "x", "[]")),
    *(("overlap", {"int64_param": number}) for number in (-1, 1, 2**63 - 1)),
    *(("strict", {"string_param": text}) for text in ("maybe", "", "1" * 10_000)),
    ("strict", {"bool_param": True}),
    ("nothing", {"string_param": "x"}),
    ("limits", {"string_param": "max_bytes=1"}),
    ("views", {"int64_param": 5}),
    ("views", {}),
)


def video_attacks(rng: random.Random, sound: bytes, num_random: int) -> Iterator[Attack]:
    """Noise, then a sound file with senseless wishes and lengths.

    Args:
        rng: Names the noise.
        sound: A video.
        num_random: How many of noise.
    """
    for number in range(num_random):
        beginning = _BEGINNINGS[number % len(_BEGINNINGS)]
        yield _attack("noise as a video", beginning + rng.randbytes(rng.choice((0, 1, 100, 10_000, 1_000_000))))
    for wish in _WISHES:
        yield _attack("senseless wishes", sound, wish)
    for contents in ([], [sound, sound]):
        yield _attack("senseless wishes", b"", contents=contents)
    for length in (0, -1, 2**62, len(sound) + 1):
        yield _attack("files of another length than they say", sound, length=length)


def damaged_videos(paths: Iterable[Path]) -> Iterator[Attack]:
    """Files as they are, under their names."""
    for path in paths:
        yield _attack("damaged files", path.read_bytes(), ("name", {"string_param": path.name}))


def sound_question(sound: bytes) -> Any:
    """A right question: the vectors of the clips of a video."""
    request: Any = service_pb2.ModelInferRequest(model_name="cocon_video")
    request.inputs.add(name="video", datatype="UINT8", shape=[len(sound)])
    request.outputs.add(name="embedding")
    request.raw_input_contents.append(sound)
    return request


def _attack(
    kind: str,
    content: bytes,
    wish: tuple[str, dict[str, object]] | None = None,
    *,
    length: int | None = None,
    contents: list[bytes] | None = None,
) -> Attack:
    request: Any = service_pb2.ModelInferRequest(model_name="cocon_video")
    request.inputs.add(name="video", datatype="UINT8", shape=[len(content) if length is None else length])
    request.raw_input_contents.extend([content] if contents is None else contents)
    if wish is not None:
        name, value = wish
        request.parameters[name].SetInParent()
        for field, given in value.items():
            setattr(request.parameters[name], field, given)
    return Attack(kind, "ModelInfer", request.SerializeToString())
