"""The `dropcast` command. Whoever asks for its health waits for nothing else to be imported."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from server import health


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command. Exits 0, 1 (it failed, and said why in one line), or 2 (the words are off)."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["health"]:
        sys.exit(health.main(words[1:]))
    gc.disable()  # imports leave next to nothing to collect, and a sixth of their time went into looking
    from server import command_line  # the whole shop: most of a second

    gc.freeze()
    gc.enable()
    command_line.run(words)


if __name__ == "__main__":
    main()
