"""What `client info` tells: the server, its models, the index, and whether they belong together."""

import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

from cocon.client.commands.options import ServerOptions
from cocon.client.engines import open_index
from cocon.client.index.records import IndexFacts
from cocon.client.output.sinks import print_rows
from cocon.client.pipeline.video_embedding import Row
from cocon.core.errors import ServerError
from cocon.core.printable import escaped, printable
from cocon.core.proxies import without_credentials
from cocon.core.texts.json_text import print_json
from cocon.embedding.embedder import ENCODER, ModelEmbedder
from cocon.embedding.repository import FormatName
from cocon.embedding.videos.fused_model import FusedModel, weights_at
from cocon.video.estimation.identity import difference, identity_of

__all__ = ["gather_facts", "print_facts"]

_FITS = {
    True: "made by these models",
    False: "NOT made by these models: index anew",
    None: "by which models cannot be compared without a server",
}
_MODEL_COLUMNS = ("view", "model", "version", "method", "clip", "embedding_dim", "num_labels", "fingerprint")


def gather_facts(server: ServerOptions, index: str, *, model_format: FormatName) -> tuple[Row, ServerError | None]:
    """Ask the server and the index; the index also where no server answers.

    Args:
        server: Where the models are.
        index: Its name, which need not exist.
        model_format: Which exports to look at.

    Returns:
        `url, software, models: [...], index: {...} or null`, in plain JSON types; and why there is no server: then
        `software` and `models` are null, and so is `fits_models` of the index.

    Raises:
        CoconError: As `connect`, `ModelHost.open` and `VideoIndex.facts` do.
    """
    try:
        with closing(server.connect(model_format)) as host:
            models = {view: host.open(ENCODER, view) for view in host.views}
            weights = weights_at(host, models)
            named = {"url": escaped(host.url), "software": host.software}
    except ServerError as error:
        unknown = {"url": escaped(without_credentials(server.url)), "software": None, "models": None}
        return unknown | {"index": _index_row(index, {}, None)}, error
    rows = [_model_row(view, model) for view, model in models.items()]
    return {**named, "models": rows, "index": _index_row(index, weights, models)}, None


def print_facts(facts: Row, *, as_json: bool) -> None:
    """Print what `gather_facts` found: one JSON object, or a page for people."""
    if as_json:
        print_json(facts)
        return
    models, index = facts["models"], facts["index"]
    if isinstance(models, list):
        sys.stdout.write(f"{printable(facts['url'])}: {facts['software']}\n")
        _print_models(models)
    if not isinstance(index, dict):
        sys.stdout.write("no index here yet; make one with 'client index add'\n")
        return
    fits = _FITS[index["fits_models"]]
    sys.stdout.write(
        f"index {printable(index['folder'])}: {index['num_videos']} videos, {index['num_clips']} clips, "
        f"view {'+'.join(index['views'])}, {index['embedding_dim']} dimensions; {fits}\n"
    )


def _print_models(models: list[dict[str, Any]]) -> None:
    print_rows(_MODEL_COLUMNS, [_shown(row) for row in models])
    for row in models:
        if told := difference(f"view '{row['view']}'", row["made_here_by"], row["learned_from"]):
            sys.stdout.write(f"{told}: vectors can differ from those of others\n")


def _model_row(view: str, model: ModelEmbedder) -> Row:
    contract = model.contract
    return {
        "view": view,
        "model": model.name,
        "version": model.version,
        "method": contract.method,
        "max_batch_size": model.max_batch_size,
        "embedding_dim": contract.embedding_dim,
        "fingerprint": contract.fingerprint,
        "labels": list(contract.labels),
        "clip": asdict(contract.clip),
        "geometry": asdict(contract.geometry),
        "learned_from": list(contract.made_by),
        "made_here_by": identity_of(view, contract.flow),
    }


def _index_row(folder: str, weights: Mapping[str, float], models: dict[str, ModelEmbedder] | None) -> Row | None:
    index = open_index(folder)
    if not index.exists:
        return None
    facts, videos = index.facts, index.videos()
    fits = None if models is None else _fits(facts, models, weights)
    return {
        "folder": escaped(folder),
        **asdict(facts),
        "views": list(facts.views),
        "num_videos": len(videos),
        "num_clips": sum(video.num_clips for video in videos),
        "fits_models": fits,
        "made_by": index.made_by,
    }


def _fits(facts: IndexFacts, models: dict[str, ModelEmbedder], weights: Mapping[str, float]) -> bool:
    used = {view: models[view] for view in facts.views if view in models}
    return len(used) == len(facts.views) and FusedModel(used, weights).fingerprint == facts.fingerprint


def _shown(row: Row) -> Row:
    labels, clip = row["labels"], row["clip"]
    assert isinstance(labels, list)
    assert isinstance(clip, dict)
    step = f"{clip['step_seconds']:g} s" if clip["step_seconds"] else f"{clip['step_frames']} frames"
    shape = f"{clip['num_blocks']} x {clip['frames_per_block']} frames, {step} apart"
    return row | {"clip": shape, "num_labels": len(labels), "fingerprint": str(row["fingerprint"])[:12]}
