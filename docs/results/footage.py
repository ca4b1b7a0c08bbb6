"""On what footage encoders help, beside what needs no network; writes footage.md and footage.json.

    python docs/results/footage.py --run pretrained/figures-tiny --set figures data/figures --set arid data/arid

`--set NAME DATA` may be repeated. One run that nothing is drawn in: the untrained networks are those of the run's seed.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import torch

from cocon.core.progress import progress_bar
from cocon.training.evaluation.recognition.baselines import BASELINES
from cocon.training.evaluation.recognition.compared_runs import compare_runs
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos
from cocon.training.evaluation.recognition.result import DEFAULT_OPTIONS
from cocon.training.evaluation.report.tables import metrics_json
from cocon.training.reproduce.markdown import machine, markdown_table
from cocon.training.run_folder.files import RunFolder

HERE = Path(__file__).parent
FIGURES = ("probe_top1", "R@1", "search_R@1", "ordered_probe_top1", "ordered_R@1")

Row = Mapping[str, object]


def main() -> None:
    """Judge the run on every set and write page and rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--set", action="append", nargs=2, required=True, dest="sets", metavar=("NAME", "DATA"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = RunFolder.open(options.run)
    rows = [{"set": name} | row for name, data in options.sets for row in judged(run, Path(data))]
    (HERE / "footage.json").write_text(json.dumps(rows, indent=1) + "\n")
    command = shlex.join(["python", "docs/results/footage.py", *sys.argv[1:]])
    (HERE / "footage.md").write_text("\n".join(page(rows, run, command)))


def judged(run: RunFolder, data: Path) -> list[Row]:
    """Rows of the untrained networks, the baselines and the run."""
    config = run.config.model_copy(update={"data": run.config.data.model_copy(update={"folder": data})})
    videos = EvaluationVideos(config, progress_bar=progress_bar)
    found = compare_runs([run], videos, DEFAULT_OPTIONS, has_random=True, baselines=BASELINES)
    rows: list[Row] = json.loads(metrics_json(found.results, found.differences))
    return rows


def page(rows: Sequence[Row], run: RunFolder, command: str) -> Iterator[str]:
    """The page, line by line."""
    yield "# On what footage encoders help"
    yield ""
    yield f"`{command}`"
    yield ""
    yield f"Made on {date.today().isoformat()}, {machine()}. One run, in which nothing is drawn; per cent ± standard"
    yield "error."
    yield ""
    yield f"* `{run.path.name}`: its encoders as they are packed, frozen, without training on any of these sets."
    yield "* ± is the error of having these test videos and no others (docs/evaluation.md); `*`: another value than the"
    yield "  flow histogram's, by more than twice the standard error of the difference on the same videos."
    for name in dict.fromkeys(str(row["set"]) for row in rows):
        own = [row for row in rows if row["set"] == name]
        yield ""
        yield f"## {name}"
        yield ""
        counts = f"{own[0]['gallery_size']} training and {own[0]['num_questions']} test videos"
        yield f"{counts}; chance {own[0]['probe_top1_chance']:.1f} (probe) and {own[0]['R@1_chance']:.1f} (R@1)."
        yield ""
        yield markdown_table(["method", "view", *FIGURES], [shown(row) for row in own])


def shown(row: Row) -> list[str]:
    """A row of the table."""
    return [str(row["method"]), str(row["view"]), *(figure(row, name) for name in FIGURES)]


def figure(row: Row, name: str) -> str:
    """A figure with its error, and whether it differs from the flow histogram's."""
    if name not in row:
        return "–"
    differences = row.get("differences", {})
    assert isinstance(differences, dict)
    found = differences.get("flow-histogram", {}).get(name, {})
    return f"{row[name]:.1f} ± {row[f'{name}_se']:.1f}{'*' if found.get('is_beyond_error') else ''}"


if __name__ == "__main__":
    main()
