"""What a page's scripts need before they run: the modules they import, and the texts they say.

Reads sources without their comments. A module is named by its path under `client/`, such as `viewer/stream.js`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

VENDOR = "vendor/"
"""Others' libraries: they say no texts of ours, and import nothing more."""

_STATIC = re.compile(r"\b(?:from|import)\s*\"(\.[^\"]+)\"")
_DYNAMIC = re.compile(r"\bimport\(\s*\"(\.[^\"]+)\"")
_SAID = re.compile(r"\bt\(\s*\"([a-z0-9_.]+)\"")
_SAID_BY_PREFIX = re.compile(r"\bt\(\s*`([a-z0-9_.]+)\$\{")
_PART = re.compile(r"\{\{>([a-z]+)(?: ([^\s}]+))?\}\}")
_IN_HTML = re.compile(r"\{\{([a-z0-9_.]+)\}\}")


def imported(entry: str, sources: Mapping[str, str]) -> list[str]:
    """The modules that load with `entry`, itself first; those it imports only when needed are not among them."""
    return _reached(entry, sources, (_STATIC,))


def texts_said(entry: str, sources: Mapping[str, str], known: Mapping[str, str]) -> set[str]:
    """The keys of `known` that `entry` and all it may ever import can ask for.

    Keys stand in `t("whole.key")` or, when the last part is found out, in ``t(`prefix.${part}`)``. Plurals are kept
    under `key.one` and `key.other`.
    """
    said: set[str] = set()
    for module in _reached(entry, sources, (_STATIC, _DYNAMIC)):
        said.update(keys_in(sources[module], known))
    return said


def keys_in(source: str, known: Mapping[str, str]) -> set[str]:
    """The keys that one script asks for; one that `known` lacks is handed back all the same."""
    said: set[str] = set()
    for key in _SAID.findall(source):
        said.update(plurals if (plurals := {f"{key}.one", f"{key}.other"} & known.keys()) else {key})
    for prefix in _SAID_BY_PREFIX.findall(source):
        said.update(key for key in known if key.startswith(prefix))
    return said


def with_parts(source: str, parts: Mapping[str, str]) -> str:
    """A page with the parts it has in common with others put in.

    `{{>head}}` is the part `head`; in `{{>top /orders}}` links of the part that lead to `/orders` are said to lead to
    this very page. Raises `KeyError` for a part there is not.
    """

    def part(found: re.Match[str]) -> str:
        name, here = found.groups()
        return parts[name].rstrip("\n").replace(f'href="{here}"', f'href="{here}" aria-current="page"')

    return _PART.sub(part, source)


def keys_in_html(source: str) -> set[str]:
    """The keys that stand as `{{key}}` in a page."""
    return set(_IN_HTML.findall(source))


def filled(source: str, words: Mapping[str, str]) -> str:
    """A page with its `{{key}}`s replaced. Raises `KeyError` for one that `words` lacks."""
    return _IN_HTML.sub(lambda found: words[found.group(1)], source)


def _reached(entry: str, sources: Mapping[str, str], ways: tuple[re.Pattern[str], ...]) -> list[str]:
    reached, ahead = [], [entry]
    while ahead:
        module = ahead.pop(0)
        if module in reached or module.startswith(VENDOR):
            continue
        reached.append(module)
        there = posixpath.dirname(module)
        found = [path for way in ways for path in way.findall(sources[module])]
        ahead += [posixpath.normpath(posixpath.join(there, path)) for path in found]
    return reached
