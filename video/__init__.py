"""What goes in: decoding, views, clips, and the multi-view store.

A file is opened by `decoding`, in a process of `workers`, and entered at a moment by `seeking`; `estimation` and
`own_views` give its further views, `making` writes them into the `store`, and `reading` cuts clips in all views out of
both, of the part of each picture that `following` says. `pictures` draws, `preview` shows views side by side, `moments`
gives stills and short films of any moment; `commands` are the commands on them. `views.py` says what a view is,
`clips.py` which frames make a clip.
"""

if __name__ != "cocon.video":
    raise ImportError("install the project (make setup) and import this room as 'cocon.video'")
