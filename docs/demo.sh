#!/bin/sh
# What `make demo` does once the models are exported: serve them, index the training videos, search with a test video.
set -eu

if cocon serve "$REPOSITORY" --detach; then
    export COCON_URL=127.0.0.1:8001
    trap 'cocon serve --stop' EXIT
else
    echo "no Triton here; going on in this process"
    export COCON_URL="local:$REPOSITORY"
fi
export COCON_INDEX="$INDEX"

train=$(mktemp)
awk -F, -v root="$DATA" 'NR > 1 && $5 == "train" {print root "/" $2}' "$DATA/manifest.csv" > "$train"
query=$(awk -F, -v root="$DATA" '$5 == "test" && $3 == "jumping jack" {print root "/" $2; exit}' "$DATA/manifest.csv")

echo "--- index the training videos: client index add --view all"
client index add --view all "@$train"
rm -f "$train"
echo "--- query: $query, a jumping jack by a body and in a place never trained on"
client search "$query" --top 5
client classify --view all "$query" --top 3
