"""Videos as a host would have them: made by ffmpeg, and served by a web server on another site, which can be away."""

from __future__ import annotations

import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import imageio_ffmpeg

SECONDS = 10
SHAPES = {"landscape": "320x180", "portrait": "180x320"}
_H264 = ["-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "15", "-c:a", "aac"]
_TYPES = {".mp4": "video/mp4", ".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t"}


def make_videos(folder: Path) -> None:
    """`landscape` and `portrait`, each as .mp4 and, in segments of a second, as .m3u8."""
    for shape, size in SHAPES.items():
        mp4, hls = folder / f"{shape}.mp4", folder / f"{shape}.m3u8"
        picture = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=15:duration={SECONDS}"]
        tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={SECONDS}"]
        _ffmpeg(*picture, *tone, *_H264, "-movflags", "+faststart", str(mp4))
        _ffmpeg("-i", str(mp4), "-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod", str(hls))


class LiveEncoder:
    """`with LiveEncoder(folder):` keeps `live.m3u8` there, of a picture that goes on as time does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        picture = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=15"]
        live = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "6", "-hls_flags", "delete_segments"]
        arguments = [*picture, *_H264[:-2], "-preset", "ultrafast", *live, str(self._folder / "live.m3u8")]
        self._process = subprocess.Popen(_command(*arguments), stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


class VideoHost:
    """Serves a folder at `http://localhost`, to pages of every site. While it is `away` it answers 503."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.away = False
        self.asked: list[str] = []
        """The paths of all requests so far."""
        host = self

        class Handler(SimpleHTTPRequestHandler):
            extensions_map = _TYPES

            def do_GET(self) -> None:
                host.asked.append(self.path)
                if host.away:
                    self.send_error(503)
                else:
                    super().do_GET()

            def end_headers(self) -> None:
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Cache-Control", "no-store")
                super().end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self._server.serve_forever, name="video-host")

    @property
    def url(self) -> str:
        """Its origin: another site than the shop's 127.0.0.1."""
        return f"http://localhost:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(_command(*arguments), check=True, stdin=subprocess.DEVNULL, timeout=60)


def _command(*arguments: str) -> list[str]:
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
