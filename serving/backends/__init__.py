"""Python-based Triton backends: one that takes videos, and two in place of C++ ones.

`cocon_video` takes whole videos; `onnxruntime` and `pytorch` stand in for those of the NGC image.
"""
