"""A link that leads in a circle is one line, wherever somebody names it."""

import sys
from pathlib import Path

import pytest

from cocon.client.commands import main as client
from cocon.core import command as cocon

CIRCLE = "CIRCLE"
COMMANDS = [
    "cocon serve CIRCLE",
    "cocon serve CIRCLE --detach",
    "cocon serve check CIRCLE",
    "cocon serve promote all --repository CIRCLE --grpc-port 1",
    "cocon serve status --repository CIRCLE --grpc-port 1",
    "cocon import --from cocon CIRCLE",
    "cocon import --from cocon --labels CIRCLE FILE",
    "cocon train --data EMPTY --init-from CIRCLE --output OUT",
    "cocon evaluate CIRCLE",
    "cocon export --run CIRCLE",
    "cocon pack --run CIRCLE --output OUT",
    "cocon pool CIRCLE --output OUT",
    "cocon views make CIRCLE",
    "cocon data check CIRCLE",
    "cocon reproduce ablation --data CIRCLE --output OUT",
    "client embed --url local:CIRCLE FILE",
    "client search FILE --index CIRCLE",
    "client index backup CIRCLE --index EMPTY",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_in_a_circle_is_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path(CIRCLE).symlink_to("again")
    Path("again").symlink_to(CIRCLE)
    Path("EMPTY").mkdir()
    Path("FILE").touch()
    name, *arguments = command.split()
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as ending:
        (client if name == "client" else cocon).main()
    errors = capsys.readouterr().err
    assert ending.value.code in (2, 3, 4, 5), errors
    assert "Traceback" not in errors
    assert errors.count("error: ") == 1
