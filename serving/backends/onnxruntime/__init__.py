"""Stand-in for Triton's `onnxruntime` backend."""
