"""End workers, servers and the job itself while a job runs, and count its rows; writes disturbed_jobs.md and .json.

make disturbed-jobs     (python docs/results/disturbed_jobs.py --videos 500 --rounds 10)
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1]))

from cocon.client import VideoEmbedder  # noqa: E402
from cocon.serving.address import Address  # noqa: E402
from tests.client.conftest import contract, make_repository, write_video  # noqa: E402
from tests.client.disturbed_job import check_rows, run_disturbed, served  # noqa: E402
from tests.client.models.conftest import write_config  # noqa: E402

ROUND = ("kill worker", "kill server", "kill worker", "restart server", "kill job")
FORMATS = ("parquet",)
Row = dict[str, str | int | float]


def main() -> None:
    """Do everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):  # no server of the user's is seen or ended
            os.environ[name] = str(root / name.lower())
        paths = [
            write_video(root / "videos" / f"{number:04d}.mp4", seed=number, num_frames=60)
            for number in range(options.videos)
        ]
        repository = make_repository(root / "repository", contract("rgb"))
        write_config(repository / "cocon_rgb", contract("rgb"), "onnxruntime")
        rows = [disturbed_row(root / f"rows.{form}", paths, repository, options.rounds) for form in FORMATS]
    write(rows, options)


def disturbed_row(output: Path, paths: list[Path], repository: Path, num_rounds: int) -> Row:
    """Run a job to its end; raises at the first row that is not as it should be."""
    address, begin_s = Address.on_free_ports(), time.monotonic()
    with served(repository, address):
        job = run_disturbed(paths[0].parent, output, repository, address, num_rounds * ROUND)
    took_s = time.monotonic() - begin_s
    assert (job.exit_code, job.num_disturbances) == (0, num_rounds * len(ROUND)), job.stderr
    with VideoEmbedder(f"local:{repository}") as embedder:
        num_rows = check_rows(output, paths, embedder)
    counts = Counter(num_rounds * ROUND)
    return {
        "format": output.suffix.removeprefix("."),
        "workers": counts["kill worker"],
        "servers": counts["kill server"],
        "restarts": counts["restart server"],
        "jobs": counts["kill job"],
        "waits": job.num_waits,
        "videos": len(paths),
        "rows": num_rows,
        "seconds": round(took_s),
    }


def write(rows: list[Row], options: argparse.Namespace) -> None:
    """Write both files."""
    command = f"python docs/results/disturbed_jobs.py --videos {options.videos} --rounds {options.rounds}"
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"
    facts = {"command": command, "machine": machine, "date": date.today().isoformat()}
    (HERE / "disturbed_jobs.json").write_text(json.dumps(facts | {"rows": rows}, indent=2) + "\n")
    lines = [f"| {' | '.join(str(value) for value in row.values())} |" for row in rows]
    text = "\n".join(lines)
    (HERE / "disturbed_jobs.md").write_text(
        f"""# What a job survives

`{command}`
({facts["date"]}, {machine}). `client embed videos/ --output FILE` at a server by `cocon serve --detach`. Workers and
the server were killed (the supervisor brings them back), the server was stopped and started as by an operator, and the
job itself was killed and begun again, each when so many more videos were finished. Afterwards every clip of every video
had one row, in the order of the videos, with the vector that the same model gives in this process (difference ≤ 1e-5).
The script ends at the first row that is not so. The seconds are those of a machine that may have had other work.

| format | workers killed | server killed | restarted | job killed | waits told | videos | rows, each once | seconds |
|---|---|---|---|---|---|---|---|---|
{text}
"""
    )


if __name__ == "__main__":
    main()
