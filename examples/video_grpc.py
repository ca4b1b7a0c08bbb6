"""Vectors of a video's clips from a Triton server, by Triton's own client: pip install 'tritonclient[grpc]'.

python examples/video_grpc.py video.mp4 [HOST:PORT [VIEWS]]
"""

import json
import sys

import numpy as np
import tritonclient.grpc as triton

path, url, views = (*sys.argv[1:], *("127.0.0.1:8001", "rgb")[len(sys.argv) - 2 :])
content = np.fromfile(path, np.uint8)
video = triton.InferInput("video", [len(content)], "UINT8")
video.set_data_from_numpy(content)
outputs = [triton.InferRequestedOutput(name) for name in ("start_seconds", "end_seconds", "embedding", "about")]

with triton.InferenceServerClient(url) as client:
    result = client.infer("cocon_video", [video], outputs=outputs, parameters={"views": views, "name": path})

starts, ends, embedding = (result.as_numpy(name) for name in ("start_seconds", "end_seconds", "embedding"))
about = json.loads(result.as_numpy("about")[0])
for start, end, vector in zip(starts, ends, embedding, strict=True):
    row = {"start_seconds": start, "end_seconds": end, "embedding": vector.tolist()}
    print(json.dumps({**about, **row}))
