"""The generator of figure videos: actions, bodies, scenes, rendering."""
