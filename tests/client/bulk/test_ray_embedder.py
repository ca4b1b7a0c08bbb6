"""What of the shards of earlier runs is taken for done."""

import json
from dataclasses import asdict
from pathlib import Path

from cocon.client.bulk.embed_shard import settings_from_json
from cocon.client.bulk.ray_embedder import RayEmbedder, RaySettings
from cocon.client.models.connections.credentials import Credentials
from cocon.client.pipeline.embedder_settings import EmbedderSettings


def test_shards_are_known_by_where_clips_begin_and_not_by_the_overlap_that_was_asked_for(
    repository: Path, tmp_path: Path
) -> None:
    keys = {}
    for overlap in (0.0, 0.4, 0.45, 0.5, 0.9):
        settings = EmbedderSettings(f"local:{repository}", overlap=overlap, num_cores=1)
        with RayEmbedder(RaySettings(settings, tmp_path / "shards")) as embedder:
            keys[overlap] = embedder.shards.key
    assert keys[0.4] == keys[0.45] == keys[0.5]  # a block of four frames, of two
    assert len(set(keys.values())) == 3


def test_workers_are_told_where_the_key_is_and_not_what(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret")
    given = EmbedderSettings("127.0.0.1:8001", credentials=Credentials(api_key_file=str(tmp_path / "key")))
    told = json.dumps(asdict(given))
    assert "s3cret" not in told
    assert settings_from_json(json.loads(told)).credentials == given.credentials
