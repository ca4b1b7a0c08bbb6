"""The section of the configuration that says whether a run follows people."""

from typing import Literal

from pydantic import model_validator

from cocon.training.config.input_sections import Section, ViewName
from cocon.video.following.rule import Following

__all__ = ["FollowingSection"]

_RULE = Following()


class FollowingSection(Section):
    """Whether views are looked at through a window around people, see `Following`.

    `by`: the view that says where they are, `pose` or `mask`, which need not be trained on but must be stored, unless
    `data.views_on_the_fly`; `none` takes the whole picture. `views`: those that follow; all if none is named.
    """

    by: Literal["none", "pose", "mask"] = "none"
    views: tuple[ViewName, ...] = ()
    margin: float = _RULE.margin
    smoothing_seconds: float = _RULE.smoothing_seconds
    hold_seconds: float = _RULE.hold_seconds
    least_share: float = _RULE.least_share

    @model_validator(mode="after")
    def _values_fit(self) -> "FollowingSection":
        self._rule()
        return self

    def of(self, view: str) -> Following | None:
        """The contract's form; None for a view that follows nobody."""
        return None if self.by == "none" or (self.views and view not in self.views) else self._rule()

    def _rule(self) -> Following:
        by = _RULE.by if self.by == "none" else self.by
        return Following(by, **self.model_dump(exclude={"by", "views"}))
