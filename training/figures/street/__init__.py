"""The street set: generated videos that look like what strangers film, with views that are wrong as theirs are."""
