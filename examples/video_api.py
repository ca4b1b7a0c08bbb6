"""The same by this project's own client, which decodes on this side: pip install 'cocon[client]'.

python examples/video_api.py video.mp4 [HOST:PORT [VIEWS]]
"""

import json
import sys

from cocon.client import VideoEmbedder

path, url, views = (*sys.argv[1:], *("127.0.0.1:8001", "rgb")[len(sys.argv) - 2 :])

with VideoEmbedder(url, views=views.split(",")) as embedder:
    for row in embedder.embed(path).rows():
        print(json.dumps(row | {"embedding": row["embedding"].tolist()}))
