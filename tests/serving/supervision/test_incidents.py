"""What is told of a server's past: bounded, and never a reason to fail."""

from pathlib import Path

import pytest

from cocon.serving.supervision.incidents import Incident, IncidentFile


def test_incidents_come_back_as_they_were_and_the_oldest_go(tmp_path: Path) -> None:
    file = IncidentFile(tmp_path / "serve-8001.log")
    assert file.read() == []
    added = [Incident(float(number), "restarted the server", "why", tmp_path / "caf\udce9.log") for number in range(25)]
    for incident in added:
        file.add(incident)
    assert file.read() == added[-20:]
    file.forget()
    assert file.read() == []


@pytest.mark.parametrize("damaged", ["", "{", "[1]", '[{"time": "x"}]', '{"a": 1}', "[[]]", "null"])
def test_a_damaged_file_says_nothing_and_is_replaced(tmp_path: Path, damaged: str) -> None:
    file = IncidentFile(tmp_path / "serve-8001.log")
    (tmp_path / "serve-8001.incidents.json").write_text(damaged)
    assert file.read() == []
    incident = Incident(1.5, "restarted model 'cocon_rgb'", "its worker has ended")
    file.add(incident)
    assert file.read() == [incident]
    assert str(incident).endswith("restarted model 'cocon_rgb': its worker has ended")
