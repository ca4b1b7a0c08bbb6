import io

import numpy as np
import pytest

from cocon.client.index.files.checksums import content_checksum, row_checksums, stream_checksum


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


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, (1 << 22) - 1, 1 << 22, (1 << 22) + 1, 1 << 23])
def test_a_file_read_in_pieces_has_the_checksum_of_its_bytes(size: int) -> None:
    content = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    assert stream_checksum(io.BytesIO(content)) == content_checksum(content)
    assert stream_checksum(_Dribble(content)) == content_checksum(content)


class _Dribble(io.BytesIO):
    """Gives less than is asked for, as a network's file system may."""

    def readinto(self, buffer: object, /) -> int:
        return super().readinto(memoryview(buffer)[:1_000_003])  # type: ignore[arg-type]
