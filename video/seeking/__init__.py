"""Pictures of a file from some moment on, found without decoding what comes before where that gives the very same."""
