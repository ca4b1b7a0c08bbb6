"""Encoders evaluated on labelled videos they were not trained on.

`recognition` of whole videos, `locating` of actions and `tracking` of boxes each make rows of figures; `report` prints
them, and shows those of recognition on a page.
"""
