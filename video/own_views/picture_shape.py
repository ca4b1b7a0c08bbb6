"""Whether pictures can be of a video: those of another shape belong to another one, or lie on their side."""

__all__ = ["other_shape"]

# Rounding of sizes, when pictures are reduced, stays below this.
_SAME_ASPECT = 0.05


def other_shape(height: int, width: int, video_height: int, video_width: int) -> str | None:
    """Both sizes in words if pictures have not the video's ratio of width to height; None if they have.

    Args:
        height: of the pictures, in any unit.
        width: likewise.
        video_height: of the video's frames.
        video_width: likewise.
    """
    if abs(height * video_width / (width * video_height) - 1) <= _SAME_ASPECT:
        return None
    return f"{width} × {height}, the video is {video_width} × {video_height}: another shape"
