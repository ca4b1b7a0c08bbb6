"""What `client info` tells: the server, its models, the index, and whether they belong together."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from cocon.client.commands.options import ServerOptions
from cocon.client.engines import open_index
from cocon.client.index.records import IndexedVideo, IndexFacts
from cocon.client.output.sinks import print_rows
from cocon.client.pipeline.video_embedding import Row
from cocon.core.errors import CoconError, MismatchError, ServerError
from cocon.core.printable import escaped, in_one_line, printable
from cocon.core.proxies import without_credentials
from cocon.core.texts.json_text import print_json
from cocon.embedding.contract import ModelContract
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


@dataclass(frozen=True, slots=True)
class _Server:
    """What one place says of its models; `error` is why it says nothing."""

    url: str
    software: str | None = None
    models: dict[str, ModelEmbedder] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    error: ServerError | None = None

    @property
    def offer(self) -> dict[str, tuple[str, ModelContract]]:
        """What must be the same on all servers."""
        return {view: (model.version, model.contract) for view, model in self.models.items()}


def gather_facts(server: ServerOptions, index: str, *, model_format: FormatName) -> tuple[Row, CoconError | None]:
    """Ask the servers and the index; the index also where no server answers.

    Args:
        server: Where the models are.
        index: Its name, which need not exist.
        model_format: Which exports to look at.

    Returns:
        `url, software, models: [...], servers: [...], index: {...} or null`, in plain JSON types, of the first server
        that answers; and what is wrong: none does, or they have other models. Without one `software` and `models` are
        null, and so is `fits_models` of the index.

    Raises:
        CoconError: As `connect`, `ModelHost.open` and `VideoIndex.facts` do.
    """
    servers = [_asked(each, model_format) for each in server.each()]
    first = next((each for each in servers if each.error is None), None)
    if first is None:
        unknown = {"url": escaped(without_credentials(server.url)), "software": None, "models": None}
        listed = [_server_row(each, servers[0]) for each in servers]
        return unknown | {"servers": listed, "index": _index_row(index, {}, None)}, servers[0].error
    rows = [_model_row(view, model) for view, model in first.models.items()]
    named = {"url": escaped(first.url), "software": first.software}
    listed = [_server_row(each, first) for each in servers]
    facts: Row = {**named, "models": rows, "servers": listed, "index": _index_row(index, first.weights, first.models)}
    others = [each.url for each in servers if each.error is None and each.offer != first.offer]
    told = f"{', '.join(others)}: other models than on {first.url}; name servers of the same models"
    return facts, MismatchError(told) if others else None


def print_facts(facts: Row, *, as_json: bool) -> None:
    """Print what `gather_facts` found: one JSON object, or a page for people."""
    if as_json:
        print_json(facts)
        return
    models, index = facts["models"], facts["index"]
    if isinstance(models, list):
        sys.stdout.write(f"{printable(facts['url'])}: {facts['software']}\n")
        _print_models(models)
        _print_others(facts)
    if not isinstance(index, dict):
        sys.stdout.write("no index here yet; make one with 'client index add'\n")
        return
    fits = _FITS[index["fits_models"]]
    sys.stdout.write(
        f"index {printable(index['folder'])}: {index['num_videos']} videos, {index['num_clips']} clips, "
        f"view {'+'.join(index['views'])}, {index['embedding_dim']} dimensions; {fits}\n"
    )
    for row in index["versions"]:
        sys.stdout.write(f"{row['num_videos']} videos by {row['model']} version {row['version']}\n")


def _print_models(models: list[dict[str, Any]]) -> None:
    print_rows(_MODEL_COLUMNS, [_shown(row) for row in models])
    for row in models:
        if told := difference(f"view '{row['view']}'", row["made_here_by"], row["learned_from"]):
            sys.stdout.write(f"{told}: vectors can differ from those of others\n")


def _print_others(facts: Row) -> None:
    """The servers beside the one whose models were shown."""
    servers = facts["servers"]
    assert isinstance(servers, list)
    for server in servers:
        if server["url"] != facts["url"]:
            what = server["error"] or f"{server['software']}, {'the same' if server['is_same'] else 'OTHER'} models"
            sys.stdout.write(f"{printable(server['url'])}: {printable(what)}\n")


def _asked(server: ServerOptions, model_format: FormatName) -> _Server:
    try:
        with closing(server.connect(model_format)) as host:
            models = {view: host.open(ENCODER, view) for view in host.views}
            return _Server(host.url, host.software, models, weights_at(host, models))
    except ServerError as error:
        return _Server(without_credentials(server.url), error=error)


def _server_row(server: _Server, first: _Server) -> Row:
    is_same = None if server.error is not None else server.offer == first.offer
    error = None if server.error is None else in_one_line(server.error)
    return {"url": escaped(server.url), "software": server.software, "is_same": is_same, "error": error}


def _model_row(view: str, model: ModelEmbedder) -> Row:
    contract = model.contract
    return {
        "view": view,
        "model": model.name,
        "version": model.version,
        "method": contract.method,
        "max_batch_size": model.max_batch_size,
        "embedding_dim": contract.vector_dim,
        "pooling": contract.encoder.pooling,
        "cells": contract.encoder.cells,
        "fingerprint": contract.fingerprint,
        "labels": list(contract.labels),
        "clip": asdict(contract.clip),
        "geometry": contract.to_dict()["geometry"],
        "learned_from": list(contract.made_by),
        "people_by": list(contract.people_by),
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
        **facts.to_dict(),
        "views": list(facts.views),
        "num_videos": len(videos),
        "num_clips": sum(video.num_clips for video in videos),
        "fits_models": fits,
        "made_by": index.made_by,
        "versions": _versions(videos),
    }


def _versions(videos: Iterable[IndexedVideo]) -> list[Row]:
    """How many contents were embedded by which version of which model; `client index list --json` says it of each."""
    of_contents = {video.video_id: (video.model, video.version) for video in videos}
    counted = sorted(Counter(of_contents.values()).items())
    return [{"model": model, "version": version, "num_videos": number} for (model, version), number in counted]


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
