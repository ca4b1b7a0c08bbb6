"""A name is a file and nothing else, a format holds everything itself, and one stream is the video."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import NoVideoStreamError, UnreadableVideoError
from cocon.video.decoding.frames import read_frames

from .field_videos import NUM_FRAMES, number_in, numbered_picture, write_fields

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose pictures carry their numbers."""
    return write_fields(tmp_path_factory.mktemp("sound") / "video.mp4", "libx264")


NAMES = [
    "Talk: part 1.mp4",
    "concat:ok.mp4",
    "concat:ok.mp4|ok.mp4",
    "file:ok.mp4",
    "http:",
    "https:ok.mp4",
    "pipe:0",
    "data:,ok.mp4",
    "subfile,,start,10,end,20,,:ok.mp4",
    "crypto:ok.mp4",
    "async:ok.mp4",
    "cache:ok.mp4",
    "%03d.mp4",
    "a?b#c.mp4",
    "-i.mp4",
    " spaces at both ends ",
    "new\nline.mp4",
    os.fsdecode(b"caf\xe9.mp4"),
]


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_file_is_called_it_is_read(
    name: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the name could be taken for lies beside it, and is another video.
    write_fields(tmp_path / "ok.mp4", "libx264", start_frames=0).write_bytes(b"not to be opened")
    shutil.copy(sound, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert [number_in(pixels) for _, pixels in read_frames(Path(name))] == list(range(NUM_FRAMES))


def test_a_folder_called_like_an_address_asks_nobody(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    host, port = listener.getsockname()
    folder = tmp_path / "http:" / f"{host}:{port}"
    folder.mkdir(parents=True)
    shutil.copy(sound, folder / "video.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(read_frames(Path(f"http:/{host}:{port}/video.mp4")))) == NUM_FRAMES
    assert not _was_asked(listener)


@pytest.mark.parametrize("name", ["a%03d.jpg", "a%d.png", "a*.jpg", "a[0-9].jpg", "a001.bmp", "a.webp"])
def test_a_picture_is_read_and_none_that_its_name_could_stand_for(name: str, tmp_path: Path) -> None:
    for number, gray in enumerate((60, 120, 180)):
        for other in (f"a{number:03d}", f"a{number}"):
            picture = np.full((32, 32, 3), gray, np.uint8)
            assert cv2.imwrite(str(tmp_path / f"{other}{Path(name).suffix}"), picture)
    own = cv2.imencode(Path(name).suffix, np.full((32, 32, 3), 240, np.uint8))[1].tobytes()
    (tmp_path / name).write_bytes(own)
    ((seconds, pixels),) = read_frames(tmp_path / name)
    assert seconds == 0
    assert abs(int(pixels.mean()) - 240) <= 4


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody on this machine who would notice a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def _was_asked(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


SCRIPTS = {
    "concat": "ffconcat version 1.0\nfile {name}\n",
    "concat, without a head": "file '{path}'\nfile '{path}'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{name}\n#EXT-X-ENDLIST\n",
    "hls of an address": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "hls of a file address": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>"
    ),
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "redirection": "[Reference]\nRef1={url}\n",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\n{path}\n",
    "metadata": ";FFMETADATA1\ntitle={path}\n",
    "text": "{path}\n",
}


@pytest.mark.parametrize("ending", ["mp4", "txt", "m3u8", "ffconcat"])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_text_that_names_another_file_is_refused_and_opens_nothing(
    kind: str, ending: str, tmp_path: Path, listener: socket.socket
) -> None:
    # Whoever opened the other file for reading would wait for somebody to write, until the test is ended.
    other = tmp_path / "other.mp4"
    os.mkfifo(other)
    host, port = listener.getsockname()
    script = tmp_path / f"upload.{ending}"
    script.write_text(SCRIPTS[kind].format(name=other.name, path=other, url=f"http://{host}:{port}/other.mp4"))
    with pytest.raises(UnreadableVideoError, match="cannot be decoded"):
        list(read_frames(script))
    assert not _was_asked(listener)


@pytest.mark.parametrize(("kind", "ending"), [("concat", "mp4"), ("hls", "m3u8"), ("sdp", "mp4")])
def test_the_format_that_is_refused_is_named(kind: str, ending: str, tmp_path: Path) -> None:
    script = tmp_path / f"upload.{ending}"
    script.write_text(SCRIPTS[kind].format(name="other.mp4", path="/other.mp4", url="http://127.0.0.1:9/other.mp4"))
    with pytest.raises(UnreadableVideoError, match=f"its format '{kind}' is none that holds a whole video"):
        list(read_frames(script))


def test_a_movie_whose_pictures_are_said_to_lie_elsewhere_opens_nothing_else(sound: Path, tmp_path: Path) -> None:
    content = sound.read_bytes()
    (tmp_path / "other.mp4").write_bytes(content)
    movie = tmp_path / "movie.mov"
    # A data reference "url " with the flag cleared that says: in this file (ISO 14496-12, 8.7.2).
    assert content.count(b"url \0\0\0\1") == 1
    movie.write_bytes(content.replace(b"url \0\0\0\1", b"alis\0\0\0\0"))
    assert [number_in(pixels) for _, pixels in read_frames(movie)] == list(range(NUM_FRAMES))


def _with_streams(
    path: Path, *videos: Path, cover: bool = False, cover_first: bool = False, sound: bool = False
) -> Path:
    """Put the pictures of several videos into one file, one stream each, with a cover before or behind them."""
    with av.open(str(path), "w", format={".m4a": "mp4", ".mka": "matroska"}.get(path.suffix)) as output:
        sources = [av.open(str(video)) for video in videos]
        if cover and cover_first:
            image = _cover_stream(output)
        streams = [output.add_stream_from_template(source.streams.video[0]) for source in sources]
        if cover and not cover_first:
            image = _cover_stream(output)
        audio = output.add_stream("aac", rate=16000) if sound else None
        if cover:
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 200, np.uint8), format="rgb24")
            output.mux(image.encode(frame.reformat(format="yuvj420p")))
            output.mux(image.encode(None))
        if isinstance(audio, av.AudioStream):
            hum = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
            hum.sample_rate = 16000
            output.mux(audio.encode(hum))
            output.mux(audio.encode(None))
        for source, stream in zip(sources, streams, strict=True):
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
            source.close()
    return path


def _cover_stream(output: "av.container.OutputContainer") -> "av.VideoStream":
    stream = output.add_stream("mjpeg", rate=25)
    assert isinstance(stream, av.VideoStream)
    stream.height, stream.width, stream.pix_fmt = 64, 64, "yuvj420p"
    stream.disposition = type(stream.disposition).attached_pic
    return stream


@pytest.mark.parametrize("cover_first", [True, False])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_a_cover_is_never_the_video(ending: str, cover_first: bool, sound: Path, tmp_path: Path) -> None:
    path = _with_streams(tmp_path / f"film.{ending}", sound, cover=True, cover_first=cover_first)
    assert [number_in(pixels) for _, pixels in read_frames(path)] == list(range(NUM_FRAMES))


@pytest.mark.parametrize("ending", ["m4a", "mp4", "mka"])
def test_a_song_with_a_cover_has_no_video_stream(ending: str, tmp_path: Path) -> None:
    path = _with_streams(tmp_path / f"song.{ending}", cover=True, sound=True)
    with pytest.raises(NoVideoStreamError, match="only an attached picture"):
        list(read_frames(path))


def test_a_song_with_an_attachment_has_no_video_stream(tmp_path: Path) -> None:
    image = cv2.imencode(".jpg", np.full((64, 64, 3), 200, np.uint8))[1].tobytes()
    with av.open(str(tmp_path / "song.mkv"), "w") as output:
        stream = output.add_stream("aac", rate=16000)
        assert isinstance(stream, av.AudioStream)
        output.add_attachment("cover.jpg", "image/jpeg", image)
        hum = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        hum.sample_rate = 16000
        output.mux(stream.encode(hum))
        output.mux(stream.encode(None))
    with pytest.raises(NoVideoStreamError, match="only an attached picture"):
        list(read_frames(tmp_path / "song.mkv"))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_header_and_frames_are_those_of_the_same_stream(
    ending: str, sound: Path, tmp_path: Path, write_video: WriteVideo
) -> None:
    preview = write_video(tmp_path / "preview.mp4", [np.full((16, 16, 3), 90, np.uint8)] * 3, np.arange(3) / 25)
    path = _with_streams(tmp_path / f"two.{ending}", preview, sound)
    stream = read_frames(path)
    assert [number_in(pixels) for _, pixels in stream] == list(range(NUM_FRAMES))
    assert stream.lost == ""


def test_of_a_still_and_a_film_of_one_size_the_film_is_the_video(tmp_path: Path) -> None:
    numbers = range(5)
    with av.open(str(tmp_path / "video.avif"), "w", format="avif") as output:
        stream = output.add_stream("libsvtav1", rate=25, options={"preset": "12", "svtav1-params": "lp=1"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for number in numbers:
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, 64, 96), format="rgb24")
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    with av.open(str(tmp_path / "video.avif")) as container:
        assert len(container.streams.video) == 2
    assert [number_in(pixels) for _, pixels in read_frames(tmp_path / "video.avif")] == list(numbers)
