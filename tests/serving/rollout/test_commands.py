"""`cocon serve promote`, `rollback` and `status`, of a server in the background."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from cocon.serving.address import Address
from cocon.serving.operator_client import OperatorClient
from cocon.serving.record import exclusive
from cocon.serving.rollout.plan import models_of, promotion
from cocon.serving.rollout.rolling import models_on, roll_out
from tests.serving.rollout.conftest import add_versions

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def _wait_until_it_waits(process: "subprocess.Popen[str]") -> None:
    """Until a process that has done something does nothing for a second, as who looks at a lock again and again."""
    looked_at, before = psutil.Process(process.pid), 0.0
    while process.poll() is None:
        time.sleep(1.0)
        busy_s = sum(looked_at.cpu_times()[:2])
        if 0.3 < busy_s < before + 0.1:
            return
        before = busy_s
    raise AssertionError(process.communicate())


def test_a_promotion_is_planned_when_its_turn_has_come(
    cli: Cli, start: Callable[..., "subprocess.Popen[str]"], ports: list[str], repository: Path
) -> None:
    port, number = ports[0], int(ports[0].partition("=")[2])
    assert cli(repository, "--detach", *ports).returncode == 0
    try:
        add_versions(repository, 2)
        add_versions(repository, 3)
        with exclusive(number), OperatorClient(Address(grpc_port=number)) as operator:
            second = start("promote", "all", port, "--drain-s", "0", "--json")
            _wait_until_it_waits(second)
            models = models_on(operator, models_of(repository))
            roll_out(operator, lambda: promotion(models, ["all"], version=2), drain_s=0)
        told, errors = second.communicate(timeout=300)
        assert {(row["before"], row["now"]) for row in json.loads(told)["models"]} == {(2, 3)}, errors
        shown = json.loads(cli("status", port, "--json").stdout)["models"]
        assert [(row["served"], row["before"]) for row in shown] == [([3], 2)] * 3
    finally:
        cli("--stop", port)


def test_an_operator_promotes_looks_and_goes_back(cli: Cli, ports: list[str], repository: Path) -> None:
    port = ports[0]
    assert cli(repository, "--detach", *ports).returncode == 0
    try:
        add_versions(repository, 2)
        shown = json.loads(cli("status", port, "--json").stdout)["models"]
        assert [(row["model"], row["current"], row["on_disk"], row["newer"]) for row in shown] == [
            (name, 1, [1, 2], [2]) for name in ("cocon", "cocon_flow", "cocon_rgb")
        ]
        told = json.loads(cli("--status", port, "--json").stdout)["models"]
        assert [row["newer_on_disk"] for row in told] == [[2]] * 3
        promoted = cli("promote", "all", port, "--drain-s", "0", "--json")
        assert (promoted.returncode, promoted.stderr.count("loading version 2")) == (0, 3)
        assert [row["now"] for row in json.loads(promoted.stdout)["models"]] == [2, 2, 2]
        assert "already serving" in cli(repository, "--detach", *ports).stdout  # and starts nothing anew
        assert cli("promote", "all", port).stdout == "nothing to change: what is wanted is served\n"
        assert cli("rollback", "all", port, "--drain-s", "0").returncode == 0
        shown = json.loads(cli("status", port, "--json").stdout)["models"]
        assert [(row["served"], row["before"]) for row in shown] == [([1], 0)] * 3

        (repository / "cocon_rgb" / "2" / "model.onnx").write_bytes(b"another")
        refused = cli("promote", "all", port)
        assert refused.returncode == 5 and "it is another file than was exported" in refused.stderr
        refused = cli("promote", "cocon_pose", port)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    finally:
        cli("--stop", port)
    ended = cli("promote", "all", port)
    assert ended.returncode == 2 and "no server in the background" in ended.stderr
