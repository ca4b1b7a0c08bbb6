"""The section of the configuration that says what vectors of one view keep, where that is not what all views keep."""

from typing import Literal

from pydantic import Field

from cocon.training.config.input_sections import Section

__all__ = ["PoolingName", "VectorsSection"]

PoolingName = Literal["mean", "thirds", "learned"]


class VectorsSection(Section):
    """Of a view's vectors, what they keep of order and of place; None where that is what section `model` says.

    `pooling`, `cells`: see `EncoderSpec`. They are no part of the trunk: a view may have its own of either.
    """

    pooling: PoolingName | None = None
    cells: int | None = Field(None, ge=1)
