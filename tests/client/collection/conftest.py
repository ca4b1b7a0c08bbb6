"""The same videos in a folder and in Milvus Lite, so that one is held to the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")

from cocon.client import VideoIndex
from cocon.client.collection.milvus_index import MilvusIndex
from cocon.client.index.catalogue.moments import LabelledMoment
from cocon.client.index.changes.contents import Contents
from cocon.client.pipeline.video_embedding import VideoEmbedding
from tests.client.index.answers.test_searching import copy_of
from tests.client.index.conftest import FACTS, NUM_BLOCKS, embedding_of

# What would break out of a text that is written into an expression, or turns a line around.
LABELS = ("jump", 'it\'s "x"\\', None, "line\nbreak", '" or kind != "', "\u202egnirts", "größer")

PART = 'of a "part\\'


def made_up() -> list[VideoEmbedding]:
    """Videos of one to seven clips, and copies of some of them: of equal scores the path decides."""
    videos = [embedding_of(f"v{number:03d}", 1 + number % 7) for number in range(140)]
    copies = [copy_of(videos[number], f"copy{number}") for number in range(0, 100, 9)]
    return [*videos, *copies]


def put_made_up(index: VideoIndex) -> None:
    with index.writer(new=(FACTS, NUM_BLOCKS)) as writer:
        contents = Contents(writer)
        with contents.transaction():
            for number, video in enumerate(made_up()):
                values = {"take": number % 5, "na'me": f'x"{number % 3}', "text": "3.0" if number % 2 else "a\\b"}
                label = LABELS[number % len(LABELS)]
                contents.put(video.video, video, label=label, overlap=0.0, values=values)
                if number % 11 == 0:  # also where no clip lies mostly in the part
                    contents.label_moments(video.video, [LabelledMoment(0.2, 0.3 if number % 2 else 2.0, PART)])


@pytest.fixture(scope="module")
def lite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("milvus") / "lite.db"


@pytest.fixture(scope="module")
def lite(lite_file: Path) -> Iterator[str]:
    """The URL of a file, to which the name of an index is added; closed at the end."""
    url = f"milvus:{lite_file}/"
    yield url
    MilvusIndex(f"{url}any").close()


@pytest.fixture(scope="module")
def both(lite: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoIndex, MilvusIndex]:
    """A folder, and the same in Milvus."""
    folder, kept = VideoIndex(tmp_path_factory.mktemp("folder") / "index"), MilvusIndex(f"{lite}both")
    put_made_up(folder)
    put_made_up(kept)
    return folder, kept
