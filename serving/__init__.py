"""Hosting a model repository with Triton; `backends` stand in for those that a wheel's server lacks."""

if __name__ != "cocon.serving":
    raise ImportError("install the project (make setup) and import this room as 'cocon.serving'")
