"""How fast models answer: load of a known kind, latencies, and the same model in bare ONNX Runtime beside it.

What is asked is a `measured_model` (`served`, `in_process`, `bare_onnx`, `bare_ensemble`), by requests that are made
before (`tensors`). `ranges` says by how many callers or how often, `load` calls for the length of a window, `measuring`
has windows until they agree, `report` tells, and `running` does all of it.
"""
