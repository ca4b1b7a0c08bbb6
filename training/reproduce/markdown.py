"""What the pages of all tables are written with."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from cocon.training.reproduce.claims import Claim
from cocon.training.reproduce.rows import Row

__all__ = ["claims_text", "figure", "machine", "markdown_table", "seeds_text"]


def seeds_text(number: int) -> str:
    """How many seeds the figures are means of."""
    return "One seed, which says nothing of how much figures vary" if number == 1 else f"{number} seeds, mean ± sd"


def machine() -> str:
    """What it was run on."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return (
        f"{os.cpu_count()} cores of an {model}, {gpu}, Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def figure(row: Row) -> str:
    """Mean ± sd with one decimal."""
    return f"{row.mean:.1f} ± {row.sd:.1f}" if row.seeds > 1 else f"{row.mean:.1f}"


def claims_text(claims: Sequence[Claim]) -> str:
    """Every claim with its verdict, and the comparisons that it consists of."""
    summary = []
    for claim in claims:
        count = sum(one.verdict == "holds" for one in claim.comparisons)
        verdict = "holds" if claim.holds else f"holds in {count} of {len(claim.comparisons)} figures"
        if any(one.seeds < 2 for one in claim.comparisons):
            verdict = "not judged by one seed"
        summary.append(f"* **{claim.statement}**: {verdict}")
    lines = [
        [claim.statement, one.where, f"{one.better:.1f}", f"{one.worse:.1f}", f"{one.sd:.1f}", one.verdict]
        for claim in claims
        for one in claim.comparisons
    ]
    return "\n".join(summary) + "\n\n" + markdown_table(["claim", "figure", "better", "worse", "sd", "verdict"], lines)


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
