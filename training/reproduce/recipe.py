"""What every table begins and ends with: recipe and data, page and rows."""

import json
from collections.abc import Sequence
from pathlib import Path

from cocon.core.atomic import replacing
from cocon.core.errors import UsageError
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.reproduce.rows import Row
from cocon.training.reproduce.running import Plan
from cocon.video.store.dataset import DatasetFolder

__all__ = ["opened_recipe", "written_page"]


def opened_recipe(plan: Plan, *, why_two_views: str) -> tuple[Config, DatasetFolder]:
    """The recipe without what differs from row to row, and its data.

    Args:
        plan: recipe and data.
        why_two_views: ends the message where the recipe has one view only.

    Raises:
        UsageError: the recipe has one view only, or the data cannot be opened.
    """
    config = load_config(plan.preset, [*plan.settings, f"data.folder={json.dumps(str(plan.data))}"])
    if len(config.views) < 2:
        raise UsageError(f"recipe '{plan.preset}' has the view '{config.views[0]}' only; {why_two_views}")
    return config, open_dataset(config.data)


def written_page(page: Path, text: str, rows: Sequence[Row]) -> Path:
    """Write a page and, beside it, its rows as JSON; returns the page."""
    page.parent.mkdir(parents=True, exist_ok=True)
    with replacing(page.with_suffix(".json")) as partial:
        partial.write_text(json.dumps([row.to_dict() for row in rows], indent=1) + "\n")
    with replacing(page) as partial:
        partial.write_text(text)
    return page
