"""Learning encoders: data, models, losses, methods, the loop, and their evaluation."""

if __name__ != "cocon.training":
    raise ImportError("install the project (make setup) and import this room as 'cocon.training'")
