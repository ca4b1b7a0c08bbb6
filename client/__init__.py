"""Using the models: embed, classify, index and search videos."""

if __name__ != "cocon.client":
    raise ImportError("install the project (make setup) and import this room as 'cocon.client'")
