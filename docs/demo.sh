#!/bin/sh
# What `make demo` does once CoCon is installed: videos, the packed encoders, a real Triton, an index, a search and a
# page of it. Run again, it keeps what is there.
set -eu

data=data/demo repository=runs/demo/model_repository gallery=runs/demo/hits.html
export COCON_INDEX=runs/demo/index
begin=$(date +%s)

step() {
    echo "--- $(($(date +%s) - begin)) s: $1"
}

has_triton() {
    command -v tritonserver >/dev/null || python -c 'from importlib.util import find_spec as f; exit(not f("pytriton"))'
}

stop_server() {
    cocon serve --stop --grpc-port "$GRPC_PORT"
}

# The first and the last jumping jack: the manifest has training's before those of other bodies, in other places.
column() {
    awk -F, -v root="$data" '$3 == "jumping jack" {print root "/" $2}' "$data/manifest.csv" | "$1" -n 1
}

step "60 videos that the encoders have never seen: cocon data make"
cocon data make --output "$data" --num-videos 60 --seed 1
step "the packed encoders as models for Triton: cocon export"
cocon export --run pretrained/figures-tiny --repository "$repository" --no-torchscript
if has_triton; then
    step "a real Triton: cocon serve"
    cocon serve "$repository" --detach --timeout-s 600 \
        --grpc-port "$GRPC_PORT" --metrics-port "$METRICS_PORT" || {
        code=$?
        echo "other ports: make demo GRPC_PORT=18001 METRICS_PORT=18002" >&2
        exit "$code"
    }
    trap stop_server EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export COCON_URL="127.0.0.1:$GRPC_PORT"
else
    step "no Triton for this machine: the models run in the client's process"
    export COCON_URL="local:$repository"
fi
query=$(column tail) other=$(column head)
step "all videos but one: client index add"
ls "$data"/videos/*.mp4 | grep -vxF "$query" | client index add --view all -
step "that one, a jumping jack: client search, client classify"
client search "$query" --top 5 --gallery "$gallery"
client classify --view all "$query" --top 3
if has_triton; then
    trap - EXIT
    stop_server
fi
step "done"
url="--url local:$repository"
cat <<TEXT

Next:
  .venv/bin/client search $query $url --index $COCON_INDEX --all-moments --picture runs/demo/moments.png
  .venv/bin/client align $query $other $url --view all --output runs/demo/aligned.png
  make train export      # encoders of your own: ten minutes
Open $gallery in a browser: it is one file, and plays
TEXT
