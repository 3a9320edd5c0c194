"""Scripts of others that browsers load from our own origin, out of the packages that npm installed for `client/`.

They are served as they are: already minified, and not ours to rewrite.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

VENDORED = {
    "vendor/hls.js": "hls.js/dist/hls.light.min.mjs",
    "vendor/hls.worker.js": "hls.js/dist/hls.worker.js",
}
"""Path under /static/ → file of a package. An ES module; the light build leaves out DRM, subtitles and other audio. Its
worker unpacks video beside the page, as a file of its own, so that no page has to allow scripts from `blob:`.
"""

_WHAT_TO_DO = "run `npm ci --omit=dev` in client/; until then browsers that do not know HLS show no HLS video"


def vendored(client_dir: Path) -> dict[str, Path]:
    """Path under `/static/` → the installed file. What is not installed is missing, and a warning says so."""
    files = {path: client_dir / "node_modules" / name for path, name in VENDORED.items()}
    found = {path: file for path, file in files.items() if file.is_file()}
    if missing := [path for path in files if path not in found]:
        log.warning("not installed, and answering 404: %s: %s", ", ".join(missing), _WHAT_TO_DO)
    return found
