"""One video, or a part of it, in the views that training wants: out of the store, or made of its pictures."""
