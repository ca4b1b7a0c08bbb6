"""What there is to say of a video after its last clip: where nobody was found, and which stored views are short."""

from collections.abc import Iterable, Mapping

from cocon.video.reading.live import PeopleCount, ViewRequest
from cocon.video.store.stored_view import FRAMES_WITH_PERSON, StoredView
from cocon.video.views import VIEWS

__all__ = ["empty_views", "length_notes", "people_notes"]

# A stored view may end so much before its video without a word: estimators leave out a last frame or two.
_SHORT_VIEW_S = 0.5


def empty_views(live: Iterable[str], count: PeopleCount, stored: Mapping[str, StoredView]) -> list[str]:
    """Views of people of a video in which nobody was found, whether they were made now or before."""
    made = [view for view in live if VIEWS[view].maker == "people" and count.num_frames and not count.num_found]
    kept = [view for view, known in stored.items() if known.attributes.get(FRAMES_WITH_PERSON) == 0]
    return sorted([*made, *kept])


def length_notes(stored: Mapping[str, StoredView], duration_seconds: float) -> list[str]:
    """Stored views that end before their video does."""
    ends = {view: float(kept.timestamps[-1] - kept.timestamps[0]) for view, kept in stored.items()}
    return [
        f"stored view '{view}' ends at {end:.3f} s, the video at {duration_seconds:.3f} s; its last frame is repeated"
        for view, end in ends.items()
        if end + _SHORT_VIEW_S < duration_seconds
    ]


def people_notes(count: PeopleCount, requests: Mapping[str, ViewRequest]) -> list[str]:
    """In how many frames nobody was found, and what that means for the views that are wanted."""
    if count.num_found == count.num_frames:
        return []
    is_followed = any(request.geometry.following for request in requests.values())
    has_people = any(VIEWS[view].maker == "people" for view in requests)
    then = ["pose and mask are empty there"] * has_people + ["the middle of the picture is looked at"] * is_followed
    without = count.num_frames - count.num_found
    return [f"no person found in {without} of {count.num_frames} frames; {', and '.join(then)}"]
