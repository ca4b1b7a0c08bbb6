"""Pictures and short films of a moment of any file, found without reading what comes before where that is safe."""
