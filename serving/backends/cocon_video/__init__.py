"""The backend `cocon_video`: bytes of a video file in, vectors of its clips out."""
