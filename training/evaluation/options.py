"""Options of `cocon evaluate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "Annotations",
    "AsJson",
    "Baselines",
    "Centred",
    "Clips",
    "Confusion",
    "Crops",
    "Data",
    "FewShot",
    "HopBlocks",
    "PaperWeights",
    "PerClass",
    "Random",
    "Report",
    "Run",
    "Task",
]

Run = Annotated[Path, typer.Argument(help="Run folder.")]
Baselines = Annotated[
    list[Path] | None, typer.Option("--baseline", help="Another run to show beside it; may be repeated.")
]
Data = Annotated[Path | None, typer.Option(help="Another dataset folder than the run's.")]
Task = Annotated[
    Literal["videos", "localization", "tracking", "images"],
    typer.Option(help="What to judge by; all but videos need --data."),
]
Annotations = Annotated[
    Path | None, typer.Option(help="Annotations of --task localization; default: annotations.json of --data.")
]
Random = Annotated[bool, typer.Option(help="Judge the untrained networks as well.")]
Crops = Annotated[int, typer.Option(help="Crops of each clip: 1 centre, 5 and corners, 10 and mirrored.")]
HopBlocks = Annotated[
    int | None, typer.Option(min=1, help="Blocks from one test clip to the next; half a clip by default.")
]
Clips = Annotated[
    int | None, typer.Option(min=1, help="So many test clips, spread evenly over each video, instead of one every hop.")
]
Centred = Annotated[bool, typer.Option("--centred", help="Retrieve without the mean of each set.")]
FewShot = Annotated[bool, typer.Option("--few-shot", help="Also probe with 1, 5 and 10 labels per class.")]
PaperWeights = Annotated[
    bool, typer.Option("--paper-weights", help="Also weigh the views as the paper does: 2 rgb, 2 flow, 1 mask, 1 pose.")
]
PerClass = Annotated[bool, typer.Option("--per-class", help="Also print figures of every class.")]
Confusion = Annotated[Path | None, typer.Option(help="Write the confusion matrices to this CSV file.")]
Report = Annotated[Path | None, typer.Option(help="Write index.html with plots and pictures into this folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
