"""The FAISS form of an index: a cache that is built anew from the catalogue whenever it is in doubt.

FAISS reads a file with flipped bits without a word, so the file's sha256 is kept beside it and checked.
"""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cocon.client.index.catalog import Catalog
from cocon.client.index.records import CacheFacts, check_vectors
from cocon.core.atomic import replacing
from cocon.core.errors import CoconError
from cocon.core.folder_lock import folder_lock

__all__ = ["FaissCache"]

_logger = logging.getLogger(__name__)

_SCHEMA = 1


class FaissCache:
    """The FAISS index of a folder, kept in memory between searches. Safe for several readers.

    Args:
        folder: Of the index.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: tuple[CacheFacts, Any] | None = None

    def current(self, catalog: Catalog) -> Any:  # noqa: ANN401  # faiss is untyped
        """FAISS over a catalogue as it is now.

        A new one is saved for the next reader when nobody is writing and the folder lets us.

        Raises:
            MismatchError: The catalogue holds unsound vectors.
        """
        facts = catalog.cache_facts
        loaded = self._loaded
        if loaded is not None and loaded[0] == facts:
            return loaded[1]
        index = _load(self._folder, facts)
        if index is None:
            index = _build(catalog)
            try:
                with folder_lock(self._folder, "index"):
                    _save(self._folder, index, facts)
            except (CoconError, OSError) as error:
                _logger.debug("index '%s' was built in memory only: %s", self._folder, error)
        self._loaded = (facts, index)
        return index

    def renew(self, catalog: Catalog) -> None:
        """Save the FAISS index of a catalogue unless the saved one is right; for the holder of the writer lock."""
        facts = catalog.cache_facts
        if _load(self._folder, facts) is None:
            _save(self._folder, _build(catalog), facts)


def _build(catalog: Catalog) -> Any:  # noqa: ANN401  # faiss is untyped
    """Exact inner-product index whose ids are clip ids."""
    import faiss

    index = faiss.IndexIDMap2(faiss.IndexFlatIP(catalog.facts.embedding_dim))
    for ids, vectors in catalog.vectors():
        check_vectors(vectors, catalog.facts.embedding_dim, source="the catalogue")
        index.add_with_ids(vectors, ids)
    return index


def _save(folder: Path, index: Any, facts: CacheFacts) -> None:  # noqa: ANN401  # faiss is untyped
    """Write `index.faiss`, then `index.json` with its sha256 and facts: a crash between them shows."""
    import faiss

    content = faiss.serialize_index(index).tobytes()
    with replacing(folder / "index.faiss", is_durable=True) as partial:
        partial.write_bytes(content)
    record = {"schema": _SCHEMA, **asdict(facts), "sha256": hashlib.sha256(content).hexdigest()}
    with replacing(folder / "index.json", is_durable=True) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _load(folder: Path, facts: CacheFacts) -> Any | None:  # noqa: ANN401  # faiss is untyped
    """The saved index, or None when it is missing, damaged or not of these facts."""
    try:
        record = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        content = (folder / "index.faiss").read_bytes()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _logger.warning("index '%s' cannot be read and is built anew: %s", folder, error)
        return None
    expected = {"schema": _SCHEMA, **json.loads(json.dumps(asdict(facts)))}
    if not isinstance(record, dict) or {key: record.get(key) for key in expected} != expected:
        return None
    if hashlib.sha256(content).hexdigest() != record.get("sha256"):
        _logger.warning("'%s' is damaged (checksum differs) and is built anew", folder / "index.faiss")
        return None
    import faiss

    index = faiss.deserialize_index(np.frombuffer(content, np.uint8))
    return index if (index.ntotal, index.d) == (facts.count, facts.embedding_dim) else None
