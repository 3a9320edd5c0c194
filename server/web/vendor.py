"""Scripts of others that browsers load from our own origin, out of the packages that npm installed for `client/`.

They are served as they are: already minified, and not ours to rewrite.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

VENDORED = {"vendor/hls.js": "hls.js/dist/hls.light.min.mjs"}
"""Path under /static/ → file of a package. An ES module; the light build leaves out DRM, subtitles and other audio."""

_WHAT_TO_DO = "run `npm ci --omit=dev` in client/; until then browsers that do not know HLS show no HLS video"


def vendored(client_dir: Path) -> dict[str, Path]:
    """Path under `/static/` → the installed file. One that is not installed is missing, and a warning says so."""
    found = {}
    for path, name in VENDORED.items():
        file = client_dir / "node_modules" / name
        if file.is_file():
            found[path] = file
        else:
            log.warning("%s is not installed and answers 404: %s", path, _WHAT_TO_DO)
    return found
