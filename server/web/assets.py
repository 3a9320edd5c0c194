"""The browser's files, made ready once at the start: without comments, compressed, named by what is in them.

    /static/{version}/viewer/stream.js    for ever in browsers' caches: another version has another address
    /static/viewer/stream.js              asked about each time: for addresses that others keep, such as pictures

Modules import each other by relative paths, so a whole tree is of one version.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import rcssmin
import rjsmin
from starlette.requests import Request
from starlette.responses import Response

from server.domain.errors import Reason, Refused
from server.web.vendor import vendored

FOR_EVER = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"

_COMPRESSED_FROM_BYTES = 200
_VERSION_DIGITS = 12
_NOT_OURS = {"node_modules", "python"}
_NOT_SERVED = {".html", ".ts", ".md", ".py", ".lock"}
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}
_SMALLER: dict[str, Callable[[str], str]] = {".js": rjsmin.jsmin, ".css": rcssmin.cssmin}


@dataclass(frozen=True, slots=True)
class Asset:
    """One thing to send, as it is and, where that is shorter, compressed."""

    plain: bytes
    packed: bytes | None
    media_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, media_type: str) -> Asset:
        """Makes it ready."""
        packed = gzip.compress(body, 9, mtime=0) if len(body) >= _COMPRESSED_FROM_BYTES else body
        return cls(body, packed if len(packed) < len(body) else None, media_type, f'"{_digest(body)}"')

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        """The asset, or 304 when the browser has it."""
        vary = ", ".join(filter(None, ["Accept-Encoding", headers.get("Vary")]))
        headers = {**headers, "ETag": self.etag, "Vary": vary}
        if self.etag in request.headers.get("if-none-match", "").replace("W/", "").split(", "):
            return Response(status_code=304, headers=headers)
        if self.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.plain, headers=headers, media_type=self.media_type)


class Assets:
    """Everything under `client/` that browsers ask for by its path."""

    def __init__(self, directory: Path) -> None:
        self._assets: dict[str, Asset] = {}
        self.scripts: dict[str, str] = {}
        """The modules' texts as they are served, by path."""
        for path in _served(directory):
            self._add(path.relative_to(directory).as_posix(), path)
        for vendor_path, file in vendored(directory).items():
            self._assets[vendor_path] = Asset.of(file.read_bytes(), _TYPES[".js"])
        self.version = _digest("".join(f"{p} {a.etag}\n" for p, a in sorted(self._assets.items())).encode())
        """Of the whole tree."""

    def at(self, path: str) -> str:
        """Where a browser finds a file for ever."""
        return f"/static/{self.version}/{path}"

    def asset(self, path: str) -> Asset:
        """What is sent for a path. Raises `KeyError`."""
        return self._assets[path]

    async def get(self, request: Request) -> Response:
        """`GET /static/{file}` and `/static/{version}/{file}`.

        A version that is not ours is another replica's, while they are being replaced: what we have for it may not be
        kept.
        """
        path: str = request.path_params["file"]
        if asset := self._assets.get(path):
            return asset.answer(request, {"Cache-Control": ASK_EACH_TIME})
        version, _, rest = path.partition("/")
        if asset := self._assets.get(rest):
            return asset.answer(request, {"Cache-Control": FOR_EVER if version == self.version else "no-store"})
        raise Refused(Reason.NOT_FOUND, "there is no such file")

    def _add(self, path: str, file: Path) -> None:
        body = file.read_bytes()
        if smaller := _SMALLER.get(file.suffix):
            text = smaller(body.decode())
            if file.suffix == ".js":
                self.scripts[path] = text
            body = text.encode()
        media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._assets[path] = Asset.of(body, media_type)


def _served(directory: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory):
        # pruned here: node_modules has hundreds of times as many files, and each start would look at all of them
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS and not name.startswith("."))
        if Path(folder) == directory:
            continue
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix not in _NOT_SERVED:
                yield path


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_VERSION_DIGITS]
