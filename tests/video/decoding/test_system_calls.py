"""What a process that decodes a file opens on this machine, and whom it asks: seen from outside, by strace."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .field_videos import write_fields

# test_container.py has the same scripts, and a neighbour that nobody may open, without strace
pytestmark = pytest.mark.slow

_DECODE_EACH = """
import sys
from pathlib import Path
from cocon.core.errors import CoconError
from cocon.video.decoding.frames import read_frames
for name in sys.argv[1:]:
    try:
        print(sum(1 for _ in read_frames(Path(name))))
    except CoconError as error:
        print(type(error).__name__)
"""
_SCRIPTS = {
    "concat.mp4": "ffconcat version 1.0\nfile secret.mp4\n",
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "remote.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "stream.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


def test_a_decoder_opens_the_files_that_it_was_given_and_asks_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    sound = write_fields(folder / "video.mp4", "libx264")
    shutil.copy(sound, folder / "secret.mp4")
    shutil.copy(sound, folder / "concat:secret.mp4")
    for name, text in _SCRIPTS.items():
        (folder / name).write_text(text)
    given = ["video.mp4", "concat:secret.mp4", *_SCRIPTS]
    calls = tmp_path / "calls"
    tracing = ["strace", "-f", "-qq", "-e", "trace=open,openat,connect,socket", "-o", str(calls)]
    ended = subprocess.run(
        [*tracing, sys.executable, "-c", _DECODE_EACH, *given],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.stdout.split() == ["36", "36", *["UnreadableVideoError"] * len(_SCRIPTS)], ended.stderr
    lines = calls.read_text(errors="replace").splitlines()
    opened = {Path(path).name for line in lines for path in re.findall(r'open(?:at)?\([^"]*"([^"]+)"', line)}
    assert opened & {path.name for path in folder.iterdir()} == set(given)
    assert [line for line in lines if re.search(r"AF_INET|connect\(", line)] == []
