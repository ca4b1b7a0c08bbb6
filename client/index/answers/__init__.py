"""What an index answers: searches and lists of one state of it, from the arrays of its snapshot."""
