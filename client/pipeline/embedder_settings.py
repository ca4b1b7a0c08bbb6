"""What an embedder is to be like, before one is needed: nothing is connected yet."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from cocon.client.models.connect import check_url
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.defaults import DEFAULT_URL
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.embedding.repository import FormatName
from cocon.video.blocks import check_overlap
from cocon.video.decoding.limits import MediaLimits
from cocon.video.views import view_named

__all__ = ["AroundSettings", "EmbedderSettings"]


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """The arguments of a `VideoEmbedder`, which see.

    Attributes:
        are_views_chosen: Whether somebody has named the views, or an index has; else it is said which others there are.

    Raises:
        UsageError: One is out of range, or what it names cannot exist.
    """

    url: str = DEFAULT_URL
    views: Sequence[str] = ("rgb",)
    overlap: float = 0.0
    timeout_s: float = 30.0
    deadline_s: float | None = None
    awaits_start: bool = False
    model_format: FormatName = "onnx"
    limits: MediaLimits = field(default_factory=MediaLimits)
    is_strict: bool = False
    num_cores: int | None = None
    has_probabilities: bool = True
    shares_memory: bool = True
    profile: str | None = None
    credentials: Credentials = NO_CREDENTIALS
    follows_versions: bool = False
    are_views_chosen: bool = True

    def __post_init__(self) -> None:
        check_overlap(self.overlap)
        check_url(self.url, self.model_format, self.credentials)
        if not self.has_all_views:
            self.named_views()

    @property
    def has_all_views(self) -> bool:
        """Whether it is left to the server which views there are."""
        return "all" in self.views

    def named_views(self) -> tuple[str, ...]:
        """Names of the views, in alphabetical order."""
        return tuple(sorted({view_named(view).name for view in self.views}))

    @property
    def choices(self) -> dict[str, object]:
        """What decides about vectors besides model and videos, as JSON takes it."""
        limits = asdict(self.limits)
        return {"overlap": self.overlap, "limits": limits, "is_strict": self.is_strict, "cocon": version("cocon")}

    def open(self) -> VideoEmbedder:
        """Connect; raises like `VideoEmbedder`."""
        embedder = VideoEmbedder(
            self.url,
            views=self.views,
            overlap=self.overlap,
            timeout_s=self.timeout_s,
            deadline_s=self.deadline_s,
            awaits_start=self.awaits_start,
            model_format=self.model_format,
            limits=self.limits,
            is_strict=self.is_strict,
            num_cores=self.num_cores,
            has_probabilities=self.has_probabilities,
            shares_memory=self.shares_memory,
            profile=self.profile,
            credentials=self.credentials,
            follows_versions=self.follows_versions,
        )
        with ExitStack() as opened:
            opened.enter_context(embedder)
            if not self.are_views_chosen:
                embedder.tell_of_other_views()
            opened.pop_all()
        return embedder


class AroundSettings:
    """What else an embedder is to be like, around the settings of the one that it works by."""

    __slots__ = ()
    settings: EmbedderSettings

    @property
    def overlap(self) -> float:
        """Share of a clip that the next one repeats."""
        return self.settings.overlap

    @property
    def limits(self) -> MediaLimits:
        """How much of a video is read before it is refused."""
        return self.settings.limits

    @property
    def is_strict(self) -> bool:
        """Whether damaged videos are refused."""
        return self.settings.is_strict

    @property
    def has_all_views(self) -> bool:
        """Whether it is left to the server which views there are."""
        return self.settings.has_all_views

    def named_views(self) -> tuple[str, ...]:
        """Names of the views, in alphabetical order."""
        return self.settings.named_views()
