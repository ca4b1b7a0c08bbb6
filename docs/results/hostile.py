"""Send a served repository what no client should send, and look what is left of it; writes hostile.md and hostile.json.

make hostile     (python docs/results/hostile.py --random 60 --http 3000 --videos 300 --seed 0)
"""

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from tritonclient.grpc import InferenceServerClient

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT))

from cocon.serving.address import Address  # noqa: E402
from cocon.serving.launcher import ServerProcess  # noqa: E402
from tests.serving.hostile.grpc_attacks import grpc_attacks, written_into_workers  # noqa: E402
from tests.serving.hostile.http_attacks import KILLERS, http_attacks  # noqa: E402
from tests.serving.hostile.siege import (  # noqa: E402
    Neighbour,
    Outcome,
    new_question,
    resident_bytes,
    send_all,
    send_over_http,
    wait_for_port,
)
from tests.serving.hostile.video_attacks import damaged_videos, video_attacks  # noqa: E402
from tests.video.mutations import mutated_files  # noqa: E402

ENCODER, VIDEO = "cocon_rgb", "cocon_video"
Row = dict[str, str | int | float]


def main() -> None:
    """Attack in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", type=Path, required=True, help="a model repository of `cocon export`")
    parser.add_argument("--random", type=int, default=60, help="random requests of each verb")
    parser.add_argument("--http", type=int, default=3000, help="random requests over HTTP")
    parser.add_argument("--videos", type=int, default=300, help="of noise, and as many damaged ones")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with serving(options.repository, root, http=True) as server:
            rows += list(sieges(server, root, options))
        rows += list(killer_rows(options.repository, root))
    write(rows, options)


@contextmanager
def serving(repository: Path, root: Path, *, http: bool) -> Iterator[ServerProcess]:
    """A server of its own, without what would start it again."""
    address = Address.on_free_ports(http=http)
    with ServerProcess(repository, address, log=root / "log", timeout_s=600) as server:
        yield server


def sieges(server: ServerProcess, root: Path, options: argparse.Namespace) -> Iterator[Row]:
    """One row for every kind of attack on a server that must outlive them all."""
    rng, canary = random.Random(options.seed), root / "canary"
    question = question_of(server)
    names = (*(model.model for model in server.models), "1", "clip", "embedding")
    attacks = list(grpc_attacks(rng, question, options.random, names, canary))
    yield from rows_of(server, question, canary, lambda: send_all(server.url, attacks))
    regions = sorted(Path("/dev/shm").glob(f"cocon-{server.address.grpc_port}-*"))
    written = list(written_into_workers(question, regions))
    yield from rows_of(server, question, canary, lambda: send_all(server.url, written))
    port = server.address.http_port or 0
    wait_for_port((server.address.interface, port))
    over_http = list(http_attacks(rng, options.http, canary))
    yield from rows_of(server, question, canary, lambda: send_over_http((server.address.interface, port), over_http))
    if VIDEO in names:
        damaged = list(mutated_files(root / "videos", options.videos, seed=options.seed))
        sound = next(iter(sorted((root / "videos" / "sound").iterdir()))).read_bytes()
        videos = [*video_attacks(rng, sound, options.videos), *damaged_videos(damaged)]
        yield from rows_of(server, question, canary, lambda: send_all(server.url, videos))


def question_of(server: ServerProcess) -> Any:  # noqa: ANN401  # a message
    """A right question to an encoder, by its configuration."""
    with InferenceServerClient(server.url) as client:
        (tensor,) = client.get_model_config(ENCODER).config.input
    return new_question(ENCODER, tensor.name, [1, *tensor.dims])


def rows_of(server: ServerProcess, question: Any, canary: Path, attack: Callable[[], Outcome]) -> Iterator[Row]:  # noqa: ANN401
    """Attack; a row for every kind, and one of what was left."""
    neighbour, before = Neighbour(server.url, question), resident_bytes(server.identity.pid)
    with neighbour.asking():
        outcome = attack()
    for kind, statuses in outcome.statuses.items():
        yield {"what": kind, "sent": statuses.total(), "answers": told(statuses)}
    if not server.is_alive():
        raise SystemExit(f"the server is dead; the last attacks: {outcome.faults[-3:]}")
    growth = (resident_bytes(server.identity.pid) - before) / 2**20
    with InferenceServerClient(server.url) as client:
        not_ready = [model.model for model in server.models if not client.is_model_ready(model.model)]
    yield {
        "what": "→ afterwards",
        "sent": outcome.number,
        "answers": (
            f"server alive; models not ready: {len(not_ready)}; without a clear answer: {len(outcome.faults)}; "
            f"slowest {outcome.slowest_s:.2f} s; neighbour: {neighbour.num_answers} right answers, "
            f"{len(neighbour.faults)} others; memory {growth:+.0f} MiB; "
            f"canary {'WRITTEN' if canary.exists() else 'not written'}"
        ),
        "faults": json.dumps(outcome.faults[:5] + neighbour.faults[:5]),
    }


def killer_rows(repository: Path, root: Path) -> Iterator[Row]:
    """What is known to kill the wheel's server over HTTP: with the port closed, as it is by default, and open."""
    for name, attack in KILLERS.items():
        for http in (False, True):
            with serving(repository, root, http=http) as server:
                port = server.address.http_port or Address.on_free_ports().grpc_port
                if http:
                    wait_for_port((server.address.interface, port))
                peak = PeakMemory(server)
                with peak.watching():
                    outcome = send_over_http((server.address.interface, port), [(name, attack())])
                    time.sleep(1.0)
                (statuses,) = outcome.statuses.values()
                state = "alive" if server.is_alive() else "DEAD"
            yield {
                "what": f"{name}, HTTP {'on (--http)' if http else 'off (the default)'}",
                "sent": 1,
                "answers": f"{told(statuses)}; server {state}; memory at its most {peak.growth_bytes / 2**20:+.0f} MiB",
            }


class PeakMemory:
    """The most memory that a server has taken, above that at the beginning."""

    def __init__(self, server: ServerProcess) -> None:
        self._server, self._is_over = server, threading.Event()
        self.growth_bytes = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look ten times a second."""
        before, pid = resident_bytes(self._server.identity.pid), self._server.identity.pid
        thread = threading.Thread(target=self._run, args=(pid, before))
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _run(self, pid: int, before: int) -> None:
        while not self._is_over.wait(0.1) and self._server.is_alive():
            self.growth_bytes = max(self.growth_bytes, resident_bytes(pid) - before)


def told(statuses: Counter[str]) -> str:
    """Statuses and how often, the most frequent first."""
    return ", ".join(f"{status} {number}" for status, number in statuses.most_common())


def write(rows: list[Row], options: argparse.Namespace) -> None:
    """Both files."""
    given = {name: value for name, value in vars(options).items() if name != "repository"}
    facts = {"machine": machine(), "date": str(date.today()), "options": given}
    (HERE / "hostile.json").write_text(json.dumps(facts | {"rows": rows}, indent=1, ensure_ascii=False) + "\n")
    lines = [
        "# Malformed requests",
        "",
        f"Made by `make hostile` on {date.today()}, {machine()}, with the server of the `nvidia-pytriton` wheel (2.51)",
        "and the packed encoders. Every request is one of a stranger, who has no key. Noise, right messages cut or",
        "flipped, and well-formed messages of random fields go to every verb of the protocol",
        "(`tests/serving/hostile/`); the seed names them. Meanwhile a neighbour asks an encoder a real question, again",
        "and again, and compares the answers. The canary is a file that log, trace and repository verbs are told to",
        "write, and code in uploaded models would. `OK` are requests that happened to be right ones; `closed` is a",
        "connection that ended without a word, which is HTTP's answer to what ends in its midst or is none.",
        "",
        "| what | sent | answers |",
        "|---|---|---|",
    ]
    lines += [f"| {row['what']} | {row['sent']} | {row['answers']} |" for row in rows]
    lines += [
        "",
        "The last rows are why HTTP is off in the bundled server unless `--http` asks for it, and why nothing but this",
        "machine may reach it: they are faults of that old binary, which no flag of it mends. Serve others with the",
        "NGC image ([../serving.md](../serving.md), [../../SECURITY.md](../../SECURITY.md)).",
    ]
    (HERE / "hostile.md").write_text("\n".join(lines) + "\n")


def machine() -> str:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} cores of an {model}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
