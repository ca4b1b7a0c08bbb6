"""Python-based Triton backends that stand in for the C++ ones of the NGC image: `onnxruntime` and `pytorch`."""
