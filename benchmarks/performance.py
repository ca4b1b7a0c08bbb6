"""Make `docs/performance.md` and its picture of the files in `benchmarks/results`.

python benchmarks/performance.py            # writes both
python benchmarks/performance.py --check    # only says whether the page is what the files say (exit code 1)
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogue import BENCHMARKS
from published import PUBLISHED
from results_file import Row

__all__ = ["Results", "read_results"]

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.png"

HEAD = """# Performance

Made by `make bench` of the files in [benchmarks/results](../benchmarks/results); `python benchmarks/performance.py`
makes it anew. Every figure stands beside an alternative that was measured in turn with it, in the same run, or beside a
bound that was set before: a ratio above 1 is better. *Asked* is the least ratio that was wanted; **bold** is what falls
short of it. Each benchmark has a date and a machine of its own, [below](#machines).

![Ratios of all figures to their alternatives](performance.png)
"""

OTHERS = """
## Beside figures of others

None of these was measured in one run with ours, and mostly on other machines: what can be compared is the share of the
bare runtime's speed that is left. Ours are of `client bench` above.

| whose | figure | conditions | of bare | ours |
|---|---|---|---|---|
"""

OWN = """
## Measure your own

```sh
client bench --concurrency-range 1:8:1 --bare model_repository          # callers at a time
client bench -m cocon --request-rate-range 10:50:10 --percentile 95     # requests a second, come what may
client bench --url local:model_repository --batch-size 4 --json         # without a server
```

Options are called as those of `perf_analyzer`. A level is measured in windows (`-p`, in ms) until speed and latency of
the last three agree within 10 % (`-s`), five at least and ten at most (`-r`); speed is the median of the windows,
percentiles are of all requests. Latency counts from when a request was due, so that waiting for a free caller is part
of it. `queue`, `input`, `infer` and `output` are Triton's own account of the model, in ms of a request; those
of an ensemble are sums over its models, which are computed side by side, so they can exceed the latency. With `--bare`,
windows of the same file in ONNX Runtime, with as many sessions and threads as the server has, take turns with those of
the server; its threads spin or sleep while they wait, whichever is faster here. An ensemble's files run one after the
other, each with all cores. `-f` writes the columns of `perf_analyzer`'s CSV.

## Machines

| benchmark | machine | load | date | versions |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Results:
    """What one benchmark wrote.

    Attributes:
        name: of the benchmark.
        title: what it is about.
        machine, date: where and when.
        load: mean number of processes that wanted a core during the last 1, 5 and 15 minutes; empty where not known.
        versions: of what matters.
        rows: its figures.
    """

    name: str
    title: str
    machine: str
    date: str
    load: Sequence[float]
    versions: dict[str, str]
    rows: Sequence[Row]


def main() -> None:
    """Write the page and the picture, or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if the page is out of date")
    is_check = parser.parse_args().check
    results = read_results(Path(__file__).parent / "results")
    text = page(results)
    if is_check:
        if PAGE.read_text(encoding="utf-8") != text:
            sys.exit(f"{PAGE} is not what the results say; run: python benchmarks/performance.py")
        return
    from performance_plot import draw

    PAGE.write_text(text, encoding="utf-8")
    draw(results, PICTURE)
    print(PAGE, PICTURE, sep="\n")


def read_results(folder: Path) -> list[Results]:
    """The files there are, in the order of the catalogue; figures that stand beside nothing are left out."""
    found = []
    for benchmark in BENCHMARKS:
        path = folder / f"{benchmark.name}.json"
        if path.is_file():
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            rows = [Row(**row) for row in content.pop("rows")]
            content.setdefault("load", [])
            compared = [row for row in rows if row.versus not in ("nothing", row.case)]
            found.append(Results(benchmark.name, benchmark.title, rows=compared, **content))
    return found


def page(results: Sequence[Results]) -> str:
    """The whole page."""
    cases = {row.case: row for one in results if one.name == "client_bench" for row in one.rows}
    lines = [HEAD, "| what | case | measured | versus | ratio | asked |", "|---|---|---|---|---|---|"]
    lines += [figure_line(one.title, row) for one in results for row in one.rows]
    others = [
        table_line(
            f"{one.system} ({one.source})",
            one.figure,
            one.conditions,
            "" if one.share is None else f"{one.share:.2f}",
            f"{cases[one.ours].ratio:.2f}" if one.ours in cases else "",
        )
        for one in PUBLISHED
    ]
    machines = [
        table_line(
            f"`{one.name}`",
            one.machine,
            ", ".join(f"{mean:g}" for mean in one.load) or "not recorded",
            one.date,
            ", ".join(f"{package} {number}" for package, number in one.versions.items()),
        )
        for one in results
    ]
    return "\n".join(lines) + "\n" + OTHERS + "\n".join(others) + "\n" + OWN + "\n".join(machines) + "\n"


def figure_line(title: str, row: Row) -> str:
    """A line of the large table."""
    ratio = f"{row.ratio:.2f}"
    if row.wanted is not None and row.ratio < row.wanted:
        ratio = f"**{ratio}**"
    asked = "" if row.wanted is None else f"{row.wanted:g}"
    return table_line(title, row.case, f"{row.value:,.4g} {row.unit}".strip(), row.versus, ratio, asked)


def table_line(*cells: str) -> str:
    """A line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    main()
