"""From a training run to a Triton model repository, through parity gates.

`sources` say what is exported; `artefacts` are the files that other runtimes read and the gate between; `models` are
the kinds that are published, each with its configuration in the `repository` and its card of `cards`. `drafts` has all
that a run gives, `publishing` makes it appear whole. `packing` makes a run small enough to ship.
"""

if __name__ != "cocon.export":
    raise ImportError("install the project (make setup) and import this room as 'cocon.export'")
