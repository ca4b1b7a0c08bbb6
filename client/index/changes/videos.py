"""What changes which videos an index has: add, remove, prune. Each holds the writer lock while it runs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any

from cocon.client.index.catalogue.places import Values
from cocon.client.index.changes.addition import Addition
from cocon.client.index.changes.contents import Contents
from cocon.client.index.changes.failed_files import FailedFiles
from cocon.client.index.changes.observation import Elsewhere
from cocon.client.index.changes.outcomes import AddReport, Outcome, Outcomes
from cocon.client.index.changes.removal import gone_videos, named_videos
from cocon.client.index.files.writing import CatalogueWriter, Store
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.ranking.keeping import keep_ranking
from cocon.client.index.records import IndexFacts, check_fingerprint
from cocon.client.index.vote.keeping import keep_rule
from cocon.client.pipeline.many_videos import ManyVideosEmbedder, ManyVideosSettings
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.core.errors import MismatchError, UsageError
from cocon.core.printable import unescaped
from cocon.core.progress import OnProgress
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["add_videos", "describe_videos", "prune_videos", "remove_videos"]


def add_videos(
    store: Store,
    paths: Iterable[str | PathLike[str]],
    embedder: VideoEmbedder | ManyVideosSettings,
    *,
    folders: Iterable[Path],
    retry_failed: bool,
    wait_s: float,
    on_outcome: Callable[[Outcome], None],
    on_lists: OnProgress,
    elsewhere: Elsewhere | None = None,
) -> AddReport:
    """See `VideoIndex.add`."""
    opener = _Opener(embedder)
    with opener, _writer_to_add(store, opener, wait_s) as writer:
        contents, failed = Contents(writer), FailedFiles(writer, _tried(embedder, writer.facts))
        with Outcomes(contents.transaction, on_outcome) as outcomes:
            addition = Addition(
                contents,
                failed,
                outcomes,
                overlap=embedder.overlap,
                folders=folders,
                retry_failed=retry_failed,
                elsewhere=elsewhere,
            )
            for asked in addition.outdated(paths):
                for first in asked:  # now somebody is needed who embeds
                    opened = opener.opened()
                    _check_model(store, writer, opened.model)
                    opened.refer_to(writer.fact("made_by") or {})
                    for result in opened.embed_many(chain([first], asked)):
                        addition.store(result)
        contents.drop_unplaced()
        done = outcomes.report()
        if done.added or done.updated or done.duplicate:
            keep_rule(writer)
            keep_ranking(writer)
        store.keep_lists(writer, on_lists)
    return done


def remove_videos(store: Store, paths: Sequence[str | PathLike[str]], filters: Filters, *, wait_s: float) -> list[str]:
    """See `VideoIndex.remove`."""
    if not len(paths) and filters == NO_FILTERS:
        raise UsageError("name videos or folders to remove, or choose them (--label, --path, --where, ...)")
    with store.writer(wait_s=wait_s) as writer:
        chosen = named_videos(writer.select, paths, str(store))
        if filters != NO_FILTERS:
            meeting = [unescaped(path) for path, _ in filters.timely_places(writer.select)]
            chosen = [path for path in meeting if path in {*chosen}] if len(paths) else meeting
        _forget(writer, chosen)
    return chosen


def describe_videos(
    store: Store,
    paths: Sequence[str | PathLike[str]],
    *,
    label: str | None,
    values: Values,
    wait_s: float,
) -> list[str]:
    """See `VideoIndex.describe`."""
    with store.writer(wait_s=wait_s) as writer:
        contents, named = Contents(writer), named_videos(writer.select, paths, str(store))
        stored = [path for path in named if contents.at(path) is not None]  # the others have failed
        with contents.transaction():
            for path in stored:
                contents.describe(path, label, values)
    return stored


def prune_videos(
    store: Store, folders: Sequence[str | PathLike[str]], *, even_unmounted: bool, wait_s: float
) -> list[str]:
    """See `VideoIndex.prune`."""
    with store.writer(wait_s=wait_s) as writer:
        gone, doubts = gone_videos(writer.select, folders, str(store), is_sure=even_unmounted)
        if doubts:
            raise UsageError(f"{'; '.join(doubts)}; mount it, or forget them all the same with --yes")
        _forget(writer, gone)
    return gone


class _Opener:
    """An embedder, opened when it is needed; a context manager, which closes what it has opened."""

    def __init__(self, embedder: VideoEmbedder | ManyVideosSettings) -> None:
        self._embedder = embedder
        self._opened: ManyVideosEmbedder | None = embedder if isinstance(embedder, VideoEmbedder) else None
        self._held = ExitStack()

    def __enter__(self) -> "_Opener":
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()

    def opened(self) -> ManyVideosEmbedder:
        if self._opened is None:
            assert not isinstance(self._embedder, VideoEmbedder)
            self._opened = self._held.enter_context(self._embedder.open())
        return self._opened

    def check_views(self, facts: IndexFacts, index: str) -> None:
        """Raise `MismatchError` if an embedder cannot be the one of an index, whatever a server has."""
        named = self._embedder
        if not isinstance(named, VideoEmbedder) and not named.has_all_views and named.named_views() != facts.views:
            raise MismatchError(
                f"index '{index}' was made for view {'+'.join(facts.views)}, not {'+'.join(named.named_views())}; "
                "leave out --view, or re-embed: client index add --index NEW ..."
            )

    @property
    def model(self) -> FusedModel | None:
        """Of the embedder, if it has been opened."""
        return self._opened.model if self._opened else None


@contextmanager
def _writer_to_add(store: Store, opener: _Opener, wait_s: float) -> Iterator[CatalogueWriter]:
    """The index open for writing; made where there is none."""
    new = None
    if not store.exists:
        model = opener.opened().model
        new = IndexFacts.of(model), model.clip.num_blocks
    with store.writer(new=new, wait_s=wait_s) as writer:
        if opener.model is not None:
            _check_model(store, writer, opener.model)
        else:
            opener.check_views(writer.facts, str(store))
        yield writer


def _check_model(store: Store, writer: CatalogueWriter, model: FusedModel) -> None:
    check_fingerprint(writer.facts, model.view, model.fingerprint, index=str(store), model=model.name)


def _tried(embedder: VideoEmbedder | ManyVideosSettings, facts: IndexFacts) -> dict[str, Any]:
    """What decides whether a file fails."""
    return {
        "limits": asdict(embedder.limits),
        "strict": embedder.is_strict,
        "views": list(facts.views),
        "cocon": version("cocon"),
    }


def _forget(writer: CatalogueWriter, paths: list[str]) -> None:
    if paths:
        contents = Contents(writer)
        with contents.transaction():
            contents.forget(paths)
            FailedFiles(writer).forget(paths)
