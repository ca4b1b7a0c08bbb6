"""How the views of a dataset are made, and whether a stored view was made that way."""

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from cocon.core.errors import MissingViewError, UsageError
from cocon.core.paths import check_folder
from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import FlowSpec
from cocon.video.estimation.identity import MADE_BY, identity_of
from cocon.video.own_views.lookup import own_attributes, user_view_path
from cocon.video.own_views.source import OwnSource
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import is_sound, stored_attributes
from cocon.video.store.stored_view import Attributes
from cocon.video.views import VIEWS, view_named

__all__ = ["Recipe", "is_current", "made_views_named", "makers_of"]

_ESTIMATED_VIEWS = tuple(view.name for view in VIEWS.values() if view.maker in ("flow", "people"))

_SAME_FIGURE = 1e-6


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to make of every video.

    Attributes:
        views: those to make.
        flow: what the flow view measures; with a user's own flow, what that one measures.
        user_folders: view → folder with the user's own, in place of an estimator.
        said: view → what the user says of their own, see `own_attributes`.
        limits: how much of a file is read before it is refused.
    """

    views: tuple[str, ...] = _ESTIMATED_VIEWS
    flow: FlowSpec = field(default_factory=FlowSpec)
    user_folders: Mapping[str, Path] = field(default_factory=dict)
    said: Mapping[str, Attributes] = field(default_factory=dict)
    limits: MediaLimits = field(default_factory=MediaLimits)

    def __post_init__(self) -> None:
        for view, folder in self.user_folders.items():
            if view not in self.views:
                raise UsageError(f"--{view} '{folder}' is given, but view '{view}' is not wanted; add --view {view}")
            check_folder(folder, f"--{view}")

    @property
    def needs_estimator(self) -> bool:
        """Whether people have to be looked for."""
        return any(VIEWS[view].maker == "people" and view not in self.user_folders for view in self.views)

    @property
    def changed_limits(self) -> dict[str, float]:
        """The limits that are not the default."""
        defaults = asdict(MediaLimits())
        return {name: limit for name, limit in asdict(self.limits).items() if limit != defaults[name]}

    def source(self, view: str, video_id: str, stem: str) -> OwnSource | None:
        """The user's own file or folder for a view of a video; None where an estimator makes it.

        Raises:
            MissingViewError: there is none; the message says where it was looked for.
        """
        if view not in self.user_folders:
            return None
        folder = self.user_folders[view]
        path = user_view_path(folder, video_id, stem, view=view)
        if path is None:
            names = " or ".join(f"'{name}'" for name in dict.fromkeys((video_id, stem)))
            raise MissingViewError(f"view '{view}' was looked for in '{folder}', which has nothing called {names}")
        return OwnSource(path, self.said.get(view, {}))

    def attributes(self, view: str, content_sha256: str, source: OwnSource | None) -> Attributes:
        """What must be recorded with a stored view for it to count as made by this recipe.

        Args:
            view: one of `views`.
            content_sha256: of the video.
            source: the user's own view, if there is to be one.
        """
        known: dict[str, float | str] = {"content_sha256": content_sha256}
        if view == "flow":
            known |= {"flow_interval_seconds": self.flow.interval_seconds, "flow_size_px": self.flow.size_px}
            known["flow_algorithm"] = "user" if source else self.flow.algorithm
        else:
            known["estimator"] = "user" if source else f"mediapipe-{version('mediapipe')}"
        if not source and (made_by := identity_of(view, self.flow)):
            known[MADE_BY] = made_by
        if source:
            known |= {**own_attributes(view, source.said), "source_sha256": _source_sha256(source.path)}
        return known


def made_views_named(names: Sequence[str], own: Collection[str] = ()) -> tuple[str, ...]:
    """The views that a user names, also by their aliases; `all`, or no name, means every one that can be made.

    Args:
        names: as they were given.
        own: the views of which the user brings their own.

    Raises:
        UsageError: a view is unknown, never stored, or made by nobody but the user, who does not bring it.
    """
    possible = [view for view in VIEWS if view in _ESTIMATED_VIEWS or view in own]
    if not names or "all" in names:
        return tuple(possible)
    chosen = {view_named(name).name for name in names}
    for view in sorted(chosen - set(possible)):
        if VIEWS[view].is_stored:
            raise UsageError(f"view '{view}' has no estimator; bring your own: --{view} FOLDER")
        raise UsageError(f"view '{view}' is decoded, not stored; views that can be made: {', '.join(possible)}")
    return tuple(view for view in possible if view in chosen)


def is_current(root: Path, view: str, video_id: str, wanted: Attributes) -> bool:
    """Whether a view is stored, loads, and was made from the same content in the same way.

    A view that came from elsewhere (rendered, or measured by a sensor) records less than we do; what it does not record
    is not held against it, unless a user's own view is to take its place. A user's own view gives way only to another
    one of theirs, or to another content of the video: an estimator could not bring it back.
    """
    stored = stored_attributes(root, view, video_id)
    if stored is None or ("source_sha256" in wanted and "source_sha256" not in stored):
        return False
    if "source_sha256" in stored and "source_sha256" not in wanted:
        wanted = {"content_sha256": wanted["content_sha256"]}
    return all(_agree(stored.get(name, value), value) for name, value in wanted.items()) and is_sound(
        root, view, video_id
    )


def makers_of(root: Path, view: str, video_ids: Iterable[str], flow: FlowSpec | None) -> tuple[str, ...]:
    """Who made a view of some videos, for the contract of a model that learns from it.

    A stored view that does not say so, since it is older or came from elsewhere, is passed over. A video of which none
    is stored counts as made here, and so do all where nobody is named: what such a model sees later is made.

    Args:
        root: dataset folder.
        view: name of the view.
        video_ids: of the videos.
        flow: what a flow view measures.

    Returns:
        Sorted, as `identity_of`; empty for a view that no estimator makes.
    """
    if not VIEWS[view].is_stored:
        return ()
    here = identity_of(view, flow)
    found = (stored_attributes(root, view, video_id) for video_id in video_ids)
    makers = {here if attributes is None else attributes.get(MADE_BY) for attributes in found} | {None}
    named = sorted(maker for maker in makers if isinstance(maker, str))
    return tuple(named or filter(None, [here]))


def _agree(stored: object, wanted: float | str) -> bool:
    if isinstance(wanted, str) or not isinstance(stored, float | int):
        return stored == wanted
    return math.isclose(stored, wanted, abs_tol=_SAME_FIGURE, rel_tol=0)


def _source_sha256(source: Path) -> str:
    """Identity of a user's own view: of a file its content's, of a folder that of all names and contents in it."""
    try:
        if source.is_file():
            return content_sha256(source)
        digest = hashlib.sha256()
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(source)}\0{content_sha256(path)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()
    except OSError as error:
        raise MissingViewError(f"'{source}' cannot be read ({error.strerror})") from error
