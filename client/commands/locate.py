"""The command `client locate`."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options
from cocon.video.views import VIEWS, view_named

if TYPE_CHECKING:
    from cocon.client.locate import LocatedAction, Namer
    from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["locate"]

_COLUMNS = ("start_seconds", "end_seconds", "label", "score")


@options.takes_server_options
def locate(
    video: Annotated[Path, typer.Argument(help="A video of several actions.", show_default=False)],
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            parser=options.named_index,
            metavar="PATH",
            help="Name actions by similar moments of this index.",
            show_default=False,
        ),
    ] = None,
    classifier: Annotated[bool, typer.Option("--classifier", help="Name actions by the encoder's classifier.")] = False,
    view: Annotated[str, typer.Option("--view", help=f"One of {', '.join(VIEWS)}.")] = "rgb",
    top: Annotated[int, typer.Option("--top", min=1, help="Actions.")] = 10,
    min_score: Annotated[
        float, typer.Option("--min-score", min=0.0, max=1.0, help="Leave out what scores less.")
    ] = 0.0,
    server_options: options.ServerOptions = options.ServerOptions(),
    limit: options.Limits = None,
    as_json: options.AsJson = False,
) -> None:
    """Find the actions of a long video: when each begins and ends, and with --classifier or --index what it is.

    Of actions that overlap by more than a half the best is shown.

    Needs a boundary model: cocon evaluate RUN --task localization --data DIR, then cocon export.

    Example: client locate long.mp4 --classifier --top 5
    """
    from cocon.client.engines import open_index
    from cocon.client.locate import check_boundaries, dense_hop, locate_actions
    from cocon.core.errors import UsageError
    from cocon.core.paths import check_file
    from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL

    if classifier and index is not None:
        raise UsageError("--classifier and --index both name actions; give one of them")
    check_file(video, "video")
    chosen = view_named(view).name
    embedder_options = options.EmbedderOptions(**asdict(server_options), view=[chosen], limit=limit)
    with embedder_options.open(has_probabilities=classifier) as embedder:
        model = embedder.model
        with closing(server_options.connect()) as host:
            boundaries = host.open(BOUNDARY_MODEL, chosen)
            check_boundaries(model, boundaries)
            name = _namer(model, index, is_by_classifier=classifier)
            if index is not None:
                embedder.refer_to(open_index(index).made_by)
            embedder.hop_frames = dense_hop(model.clip, boundaries.contract.hop_frames)
            found = locate_actions(embedder, boundaries, video, name, top=top, min_score=min_score)
            host.confirm()
    _print(found, video, model, as_json=as_json)


def _namer(model: "FusedModel", index: str | None, *, is_by_classifier: bool) -> "Namer | None":
    from cocon.client.engines import open_index
    from cocon.client.locate import name_by_classifier, name_by_index

    if is_by_classifier:
        return name_by_classifier(model)
    return None if index is None else name_by_index(open_index(index), model)


def _print(found: "list[LocatedAction]", video: Path, model: "FusedModel", *, as_json: bool) -> None:
    from cocon.client.output.sinks import print_rows
    from cocon.core.printable import escaped
    from cocon.core.texts.json_text import print_json

    rows = [action.row() for action in found]
    if not as_json:
        print_rows(_COLUMNS, rows)
        return
    head = {"video": escaped(video), "view": model.view, "model": model.name, "version": model.version}
    print_json({**head, "fingerprint": model.fingerprint, "actions": rows})
