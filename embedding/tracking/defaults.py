"""What tracking takes unless it is told otherwise: the same where it is exported, served and judged.

`cocon export --feature-maps` publishes this stage for frames of this size, `client track` propagates labels like this,
and `cocon evaluate --task tracking` judges both.
"""

from cocon.embedding.tracking.propagation import Propagation

__all__ = ["SIZE_PX", "SMALL_MAPS", "STAGE"]

# Of a residual trunk; it has a cell per 8 pixels.
STAGE = "layer2"
# Height and width of a frame, whatever the picture's shape: 20 × 20 cells.
SIZE_PX = 160

# For maps of some 20 × 20 cells, of which the twelve cells of `Propagation` are the greater part. On training videos it
# follows better than the defaults, most of all by being centred, and takes a quarter of the time.
SMALL_MAPS = Propagation(num_context=4, num_neighbours=5, radius_cells=6.0, is_centred=True)
