"""`client bench` without a server."""

import csv
import json
from pathlib import Path

import pytest

from tests.client.conftest import Client

SHORT = ("-p", 50, "-r", 3)


def test_bench_prints_a_table(client: Client) -> None:
    result = client("bench", *SHORT, "-b", 2)
    assert (result.returncode, result.stderr) == (0, "")
    assert "cocon_rgb version 1" in result.stdout
    assert "clips/s" in result.stdout
    assert "queue" not in result.stdout, "there is no server"


def test_bench_beside_bare_onnx_runtime_as_json_and_csv(client: Client, url: str, tmp_path: Path) -> None:
    arguments = ("--concurrency-range", "1:2", "--bare", url, "--percentile", 75, "-f", "latencies.csv", "--json")
    result = client("bench", "--view", "flow", *SHORT, *arguments)
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["model"], facts["version"], facts["batch_size"]) == ("cocon_flow", "1", 1)
    assert [level["concurrency"] for level in facts["levels"]] == [1, 2]
    for level in facts["levels"]:
        latency = level["latency_ms"]
        assert 0 < latency["p50"] <= latency["p75"] <= latency["p99"]
        assert level["bare"]["ratio"] == pytest.approx(level["clips_per_s"] / level["bare"]["clips_per_s"], abs=0.01)
        assert level["requests"] >= 3
        assert level["errors"] == 0
    with (tmp_path / "latencies.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["Concurrency"] for row in rows] == ["1", "2"]
    assert int(rows[0]["p50 latency"]) == pytest.approx(1000 * facts["levels"][0]["latency_ms"]["p50"], abs=1)


def test_bench_with_the_clips_of_a_video(client: Client, videos: list[Path]) -> None:
    result = client("bench", *SHORT, "--input-data", videos[0], "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["input_data"] == str(videos[0])


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--concurrency-range", "0"), 2, "must go up, from at least 1"),
        (("--concurrency-range", "1", "--request-rate-range", "5"), 2, "exclude each other"),
        (("--concurrency-range", ""), 2, "--concurrency-range '' is not START:END:STEP"),
        (("-m", "cocon_nothing"), 2, "it has: cocon_rgb, cocon_flow"),
        (("-m", ""), 2, "has no encoder ''"),
        (("--bare", "nowhere"), 2, "does not exist: --bare"),
        (("--input-data", "gone.mp4"), 2, "gone.mp4"),
        (("--view", "smell"), 2, "smell"),
        (("--url", "127.0.0.1:1"), 4, "no Triton server answers"),
        (("-f", "."), 2, "--latency-report-file"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    client: Client, arguments: tuple[object, ...], code: int, told: str
) -> None:
    result = client("bench", *SHORT, *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
