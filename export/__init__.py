"""From a training run to a Triton model repository, through parity gates.

`artefacts` are files that other runtimes read and the gate between; `models` are the kinds that are published, each
with its card of `cards`, into the `repository`. `packing` makes a run small enough to ship.
"""

if __name__ != "cocon.export":
    raise ImportError("install the project (make setup) and import this room as 'cocon.export'")
