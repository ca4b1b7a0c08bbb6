"""Figures that others have published, or that stood before, with their conditions: what ours stand beside.

None was measured in a run with ours; what can be compared is what share of the bare runtime's speed is left.
"""

from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]


@dataclass(frozen=True, slots=True)
class Published:
    """A figure.

    Attributes:
        system: whose.
        figure: in words.
        conditions: that it holds under.
        source: where it stands.
        share: of the bare runtime's speed, above 0 and at most 1; None where that is not said.
        ours: the case of `client_bench` that comes nearest; empty where none does.
    """

    system: str
    figure: str
    conditions: str
    source: str
    share: float | None = None
    ours: str = ""


_EARLIER = "Triton 2.51 with a plain stand-in backend"
_SMALL = "2 cores, a small 3-D encoder of 16 × 112 × 112, uint8"
_OURS = "demo's rgb encoder, {} a request, {} at a time"

PUBLISHED = (
    Published(_EARLIER, "6.9 ms against 3.4", f"{_SMALL}, 1 a request", "measured before", 0.49, _OURS.format(1, 1)),
    Published(_EARLIER, "43 ms against 36", f"{_SMALL}, 8 a request", "measured before", 0.84, _OURS.format(8, 1)),
    Published(
        _EARLIER,
        "155 clips/s against 236",
        "the same, 1 a request, 4 at a time",
        "measured before",
        0.66,
        _OURS.format(1, 4),
    ),
    Published(
        _EARLIER,
        "161 clips/s against 236",
        "the same, 1 a request, 8 at a time; ours: 7",
        "measured before",
        0.68,
        _OURS.format(1, 7),
    ),
    Published("PyTriton", "about 5 % slower than in process", "not said", "pytriton#16", 0.95, _OURS.format(8, 1)),
    Published(
        "perf_analyzer",
        "1,407 requests/s; 708 µs at the client, 382 of them in the server",
        "model `simple`, which computes nothing worth naming",
        "perf_analyzer, docs/quick_start.md",
    ),
    Published(
        "Triton",
        "73 → 272 requests/s by dynamic batching",
        "Inception in ONNX, 8 at a time, a GPU",
        "server, docs/user_guide/optimization.md",
    ),
    Published(
        "Cosmos-Embed1 NIM",
        "16 videos/s on an A100, 28.6 on an H100",
        "`bulk_video`, 15 s of 1080p each",
        "docs.nvidia.com/nim/cosmos-embed1",
    ),
    Published("clip-video-encode", "about 1,700 frames/s", "a GPU, decoding included", "clip-video-encode PR#31"),
    Published("clip-as-service", "285 to 292 images/s", "ViT-B/32 on a TITAN RTX", "its README"),
)
