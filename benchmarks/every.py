"""Run every benchmark, or those that are named, and make `docs/performance.md` of what they wrote.

    python benchmarks/every.py                      # an hour or two: on a machine that does nothing else
    python benchmarks/every.py serving embed        # minutes

One that fails is told at the end, and its earlier results stay; the others are run all the same.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from catalogue import BENCHMARKS, Benchmark

FOLDER = Path(__file__).parent
PACKED_RUN = FOLDER.parent / "pretrained" / "figures-tiny"
LONGEST_S = 3600


def main() -> None:
    """Run them; ends with 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(one.name for one in BENCHMARKS))
    parser.add_argument("--videos", help="a folder of videos, for those that take one")
    given = parser.parse_args()
    if unknown := set(given.names) - {one.name for one in BENCHMARKS}:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    chosen = [one for one in BENCHMARKS if not given.names or one.name in given.names]
    with tempfile.TemporaryDirectory() as scratch:
        failed = run_all(chosen, Path(scratch), given.videos)
    subprocess.run([sys.executable, str(FOLDER / "performance.py")], check=True)
    for name, why in failed.items():
        print(f"failed: {name}: {why}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def run_all(chosen: Sequence[Benchmark], scratch: Path, videos: str | None) -> dict[str, str]:
    """Run one after another; returns those that failed, and why."""
    failed: dict[str, str] = {}
    repository = scratch / "model_repository"
    for benchmark in chosen:
        command = [sys.executable, str(FOLDER / f"{benchmark.name}.py")]
        if benchmark.takes_videos and videos:
            command += ["--videos", videos]
        begin_s = time.monotonic()
        try:
            if benchmark.needs_repository:
                if not repository.is_dir():
                    export(repository)
                command += ["--repository", str(repository)]
            print(f"== {benchmark.name}: {benchmark.title}", flush=True)
            subprocess.run(command, check=True, timeout=LONGEST_S)
        except (subprocess.SubprocessError, OSError) as error:
            failed[benchmark.name] = str(error)
        print(f"== {benchmark.name}: {time.monotonic() - begin_s:.0f} s", flush=True)
    return failed


def export(repository: Path) -> None:
    """The packed encoders as a model repository."""
    code = "from cocon.core.command import main; main()"
    options = ["--run", str(PACKED_RUN), "--repository", str(repository), "--no-torchscript"]
    subprocess.run([sys.executable, "-c", code, "export", *options], check=True, timeout=LONGEST_S)


if __name__ == "__main__":
    main()
