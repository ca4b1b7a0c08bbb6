import numpy as np
import pytest

from cocon.client.index.files.checksums import content_checksum, row_checksums


@pytest.mark.parametrize("dim", [1, 3, 8, 81, 256])
def test_every_changed_byte_of_a_row_is_seen_in_that_row_alone(dim: int) -> None:
    rng = np.random.default_rng(dim)
    rows = rng.normal(size=(3, dim)).astype(np.float32)
    before = row_checksums(rows)
    for position in range(4 * dim):
        changed = rows.copy()
        changed.view(np.uint8)[1, position] ^= 1 << rng.integers(8)
        assert (row_checksums(changed) != before).tolist() == [False, True, False]
    if dim > 1:
        assert row_checksums(np.ascontiguousarray(rows[:, ::-1]))[0] != before[0], "words that were exchanged"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 10_000])
def test_every_changed_byte_and_every_other_length_of_a_file_is_seen(size: int) -> None:
    rng = np.random.default_rng(size)
    content = rng.integers(0, 256, size, np.uint8).tobytes()
    before = content_checksum(content)
    for position in rng.integers(0, size, 200) if size else ():
        changed = bytearray(content)
        changed[position] ^= 1 << rng.integers(8)
        assert content_checksum(bytes(changed)) != before
    assert content_checksum(content + b"\0") != before
    assert content_checksum(content[:-1]) != before or not size
    pages = [content[start : start + 4096] for start in range(0, size, 4096)]
    assert len(pages) < 3 or content_checksum(pages[1] + pages[0] + pages[2]) != before
