"""Who makes a view: the algorithm, our own part of it, and the release of the library that does the work.

Another release of a library may estimate other values of the same pictures, and a model makes other vectors of them:
the bytes of flow by DIS of OpenCV 5.0 differ by up to 14 from those of 4.11, those by TV-L1 from release to release. So
who made a view is recorded with it, and named by the contract of the model that learned from it.

Views that are only decoded and resized have no estimator: OpenCV 4.10 to 5.0 resize to the same bytes, and of what
FFmpeg 8.0 and 8.1 decode one byte in a million differs, by one or two.

    identity_of("flow", FlowSpec(algorithm="dis"))      # "dis r1 (opencv 4.11)"
"""

from collections.abc import Sequence

from cocon.video.estimation.flow import FlowSpec, flow_identity
from cocon.video.estimation.people import people_identity
from cocon.video.views import VIEWS

__all__ = ["MADE_BY", "difference", "identity_of"]

# The attribute of a stored view that has it; older ones have none, nor has what came from elsewhere.
MADE_BY = "made_by"


def identity_of(view: str, flow: FlowSpec | None = None) -> str | None:
    """Who would make a view here and now.

    Args:
        view: name of the view.
        flow: what a flow view measures; the default of `FlowSpec` unless given.

    Returns:
        Algorithm, revision of our own part, major and minor version of the library. None for a view that no estimator
        makes, or whose estimator is not installed.
    """
    match VIEWS[view].maker:
        case "flow":
            return flow_identity((flow or FlowSpec()).algorithm)
        case "people":
            return people_identity()
        case _:
            return None


def difference(what: str, made_by: object, others: Sequence[str], reference: str = "the model learned from") -> str:
    """What there is to say of a view that others made than those of what it is to be compared with.

    Args:
        what: the view, for the sentence.
        made_by: who made it; None where that is not known.
        others: who made the views of that; empty where it is not known.
        reference: what that is, in a sentence that goes on with who made its views.

    Returns:
        Empty if they are the same, or one of them is not known.
    """
    if made_by is None or not others or made_by in others:
        return ""
    return f"{what} is made by {made_by}, but {reference} {' and '.join(others)}"
