"""A real server, started by the command, and a browser's requests to it."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        assert self.headers["content-type"] == "application/json", self.body
        found: dict[str, str] = self.json["error"]
        assert set(found) == {"class", "message", "remedy"}
        assert "Traceback" not in self.body.decode()
        return found


@dataclass(slots=True)
class WebServer:
    """`client web` as a process; a context manager that ends it as Ctrl-C does.

    Args:
        index: Folder, or a URL.
        url: Of the models.
        temporary: Where it makes its private folder.
        options: Others.
    """

    index: Path | str
    url: str
    temporary: Path
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[str]" = field(init=False)
    address: str = field(init=False)
    port: int = field(init=False)
    cookie: str = field(init=False)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "cocon.client", "web", "--index", str(self.index), "--no-browser"]
        self.process = subprocess.Popen(
            [*command, "--url", self.url, *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(self.temporary)},
        )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 60)[0], "it does not say where it is"
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.ended()[1]
        self.port = urlsplit(self.address).port or 0
        opened = self.ask("GET", "/?" + urlsplit(self.address).query, cookie="")
        self.cookie = opened.headers["set-cookie"].partition(";")[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.ended()

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it wrote to stderr, when it has ended."""
        try:
            _, told = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.process.returncode, told

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    def headers(self) -> dict[str, str]:
        """What the page's own requests carry."""
        return {"Cookie": self.cookie, "X-CoCon": "1", "Origin": f"http://127.0.0.1:{self.port}"}

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        cookie: str | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Ask as the page does, but for headers that are given; None leaves one out."""
        sent: dict[str, str | None] = {"Cookie": self.cookie if cookie is None else cookie}
        if method == "POST":
            sent |= {"X-CoCon": "1", "Origin": f"http://127.0.0.1:{self.port}"}
        sent |= headers or {}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = self.connection()
        connection.request(method, path, content, {name: text for name, text in sent.items() if text is not None})
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return self.ask("POST", path, body, headers={name.replace("_", "-"): text for name, text in headers.items()})

    def wait_ready(self, ready: bool = True) -> dict[str, Any]:
        """What it says of its embedder when that is open, or else known to be away."""
        for _ in range(600):
            found: dict[str, Any] = self.get("/api/index").json
            if found["embedder"]["ready"] == ready and (ready or found["embedder"]["message"]):
                return found
            time.sleep(0.1)
        raise AssertionError(found)
