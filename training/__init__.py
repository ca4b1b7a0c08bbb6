"""Learning encoders: data, models, losses, methods, the loop, and their evaluation.

`config` says what a run is, from the presets of `configs`; `figures` generates a data set, `data` makes batches of
videos, `annotations` tells what is known of them besides. `models` become encoders by `methods`, which minimise
`losses`, in the `loop`, which keeps a `run_folder`, on what the `machine` offers; `boundary_head` learns on frozen
encoders. `evaluation` measures runs, `importing` makes them of checkpoints of others, `reproduce` trains and measures
whole tables; `repooling` makes the vectors of trained encoders keep more, `choosing` fits a
configuration to the videos.
"""

if __name__ != "cocon.training":
    raise ImportError("install the project (make setup) and import this room as 'cocon.training'")
