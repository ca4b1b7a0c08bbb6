#!/bin/sh
# Vectors of a video's clips from a Triton server, as JSON, over HTTP with nothing but curl.
#
#   examples/video_http.sh video.mp4 [http://HOST:PORT [VIEWS]]
set -eu
video=$1 url=${2:-http://127.0.0.1:8000} views=${3:-rgb}
size=$(($(wc -c <"$video")))
header=$(printf '{"parameters": {"views": "%s"},
  "inputs": [{"name": "video", "datatype": "UINT8", "shape": [%s], "parameters": {"binary_data_size": %s}}],
  "outputs": [{"name": "start_seconds"}, {"name": "end_seconds"}, {"name": "embedding"}, {"name": "about"}]}' \
    "$views" "$size" "$size")
{ printf %s "$header"; cat "$video"; } | curl --silent --show-error --data-binary @- \
    --header "Content-Type: application/octet-stream" --header "Inference-Header-Content-Length: ${#header}" \
    "$url/v2/models/cocon_video/infer"
echo
