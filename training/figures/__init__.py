"""The generator of figure videos: actions, bodies, scenes, rendering; `street`, of those as strangers film them."""
