"""Hosting a model repository with Triton."""

if __name__ != "cocon.serving":
    raise ImportError("install the project (make setup) and import this room as 'cocon.serving'")
