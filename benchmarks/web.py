"""From a dropped video to its first hit: `client web` as a process, asked as its page asks.

    python benchmarks/web.py --index index --url local:model_repository --video ten_seconds.mp4

Each round uploads other bytes of the same video, searches, and fetches the still and the film of the best hit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

ROUNDS = 7


class _Page:
    """A page that has been opened: cookie, headers and all."""

    def __init__(self, address: str) -> None:
        self._base = f"http://{urlsplit(address).netloc}"
        self._opener = build_opener(HTTPCookieProcessor(), ProxyHandler({}))
        self._opener.open(address).read()

    def get(self, path: str) -> bytes:
        return self._opener.open(self._base + path).read()

    def post(self, path: str, content: bytes) -> Any:  # noqa: ANN401  # JSON
        headers = {"X-CoCon": "1", "Origin": self._base, "X-File-Name": "dropped.mp4"}
        return json.loads(self._opener.open(Request(self._base + path, content, headers)).read())


def main() -> None:
    """Start a server, measure, and end it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("index", "url", "video"):
        parser.add_argument(f"--{name}", required=True)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "cocon.client", "web", "--index", asked.index, "--url", asked.url, "--no-browser"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        print(f"address after {time.perf_counter() - begun:.2f} s; cores: {len(os.sched_getaffinity(0))}")
        try:
            _measure(_Page(address), Path(asked.video).read_bytes())
        finally:
            server.terminate()


def _measure(page: _Page, video: bytes) -> None:
    while not json.loads(page.get("/api/index"))["embedder"]["ready"]:
        time.sleep(0.1)
    time.sleep(2)  # a person looks at the page first
    rounds = [_round(page, video + bytes([number])) for number in range(ROUNDS)]
    for name, seconds in zip(("upload", "search", "still and film", "all"), zip(*rounds, strict=True), strict=True):
        print(f"{name}: first {seconds[0]:.2f} s, median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s")


def _round(page: _Page, video: bytes) -> tuple[float, ...]:
    times = [time.perf_counter()]
    upload = page.post("/api/uploads", video)
    times.append(time.perf_counter())
    found = page.post("/api/search", json.dumps({"query": {"upload_id": upload["upload_id"]}}).encode())
    times.append(time.perf_counter())
    for link in ("still", "media"):
        page.get(found["hits"][0][link])
    times.append(time.perf_counter())
    return *(end - begin for begin, end in pairwise(times)), times[-1] - times[0]


if __name__ == "__main__":
    main()
