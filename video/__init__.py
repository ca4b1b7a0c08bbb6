"""What goes in: decoding, views, clips, and the multi-view store."""

if __name__ != "cocon.video":
    raise ImportError("install the project (make setup) and import this room as 'cocon.video'")
