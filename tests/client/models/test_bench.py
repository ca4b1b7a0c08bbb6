"""`client bench` of a real server."""

import json
from pathlib import Path

from cocon.serving.launcher import ServerProcess
from tests.client.conftest import Client

SHORT = ("-p", 100, "-r", 3, "--json")


def test_a_server_is_measured_with_its_own_account(server: ServerProcess, client: Client, url: str) -> None:
    result = client("bench", "--url", server.url, "--bare", url, "-b", 2, "--concurrency-range", "3", *SHORT)
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["software"].startswith("triton ")
    (level,) = facts["levels"]
    account = level["server"]["cocon_rgb"]
    assert account["requests"] == level["requests"], "others ask nothing, and nothing else is counted"
    assert account["mean_batch_size"] >= 2
    assert 0 < account["compute_infer_ms"] < account["request_ms"] <= level["latency_ms"]["mean"]
    assert level["bare"]["callers"] == 1


def test_requests_come_when_they_come(server: ServerProcess, client: Client) -> None:
    result = client(
        "bench",
        "--url",
        server.url,
        "-m",
        "cocon_flow",
        "--request-rate-range",
        "40",
        "--shared-memory",
        "none",
        *SHORT,
    )
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["shared_memory"] == "none"
    (level,) = facts["levels"]
    assert (level["concurrency"], level["request_rate"]) == (None, 40.0)
    assert level["server"]["cocon_flow"]["requests"] == level["requests"] > 0


def test_the_clips_of_a_video_go_to_a_server(server: ServerProcess, client: Client, videos: list[Path]) -> None:
    result = client("bench", "--url", server.url, "--input-data", videos[0], *SHORT)
    assert result.returncode == 0, result.stderr


def test_what_a_server_does_not_take_is_one_line(server: ServerProcess, client: Client) -> None:
    for arguments, told in (
        (("-b", 5), "takes at most 4 rows"),
        (("-m", "cocon_mask"), "no model 'cocon_mask'"),
        (("-m", "cocon_pose", "--input-data", "zero", "--bare", "nowhere"), "does not exist: --bare"),
    ):
        result = client("bench", "--url", server.url, *arguments, *SHORT)
        assert (result.returncode, result.stdout) == (2, "")
        assert told in result.stderr
        assert result.stderr.count("\n") == 1


def test_the_threads_of_a_model_are_told_whatever_its_format(server: ServerProcess, client: Client) -> None:
    result = client("bench", "--url", server.url, "--model-format", "torchscript", *SHORT)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["threads"] == 3
