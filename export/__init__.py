"""From a training run to a Triton model repository, through parity gates."""

if __name__ != "cocon.export":
    raise ImportError("install the project (make setup) and import this room as 'cocon.export'")
