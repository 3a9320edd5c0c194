"""`python -m loadtest SCENARIO …`: runs one scenario to its end, or until SIGINT or SIGTERM.

Exit status: 0 well, 1 the scenario could not go on or its audit failed, 2 wrong arguments, 130 a measurement was
interrupted. Scenarios are imported late: from the first moment on, a signal ends this process without a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

_ENDS = (signal.SIGINT, signal.SIGTERM)
_LEAVES_WITHIN_S = 1.5
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    for number in _ENDS:
        signal.signal(number, _leave_at_once)
    options = _parser().parse_args(arguments)

    with asyncio.Runner(loop_factory=_loop) as runner:
        status = runner.run(_until_stopped(options))
        for number in _ENDS:
            signal.signal(number, signal.SIG_IGN)  # this process is ending already
    return status


def _leave_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _parser() -> argparse.ArgumentParser:
    from loadtest import demo, fan_out, flash_sale, mixed, page_rush, reconnect_storm, rolling_drain, search, signing_in

    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="Crowds and hosts that speak Dropcast's protocol. See loadtest/README.md.",
    )
    scenarios = parser.add_subparsers(dest="scenario", metavar="SCENARIO", required=True, title="scenarios")
    for name, scenario, when_stopped in (
        ("demo", demo, 0),
        ("fan_out", fan_out, INTERRUPTED),
        ("flash_sale", flash_sale, INTERRUPTED),
        ("mixed", mixed, INTERRUPTED),
        ("page_rush", page_rush, INTERRUPTED),
        ("reconnect_storm", reconnect_storm, INTERRUPTED),
        ("rolling_drain", rolling_drain, INTERRUPTED),
        ("search", search, INTERRUPTED),
        ("signing_in", signing_in, INTERRUPTED),
    ):
        sub = scenarios.add_parser(
            name,
            help=scenario.SUMMARY,
            description=scenario.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--url", default="http://127.0.0.1:8080", type=_url, help="the shop's address (%(default)s)")
        scenario.add_arguments(sub)
        sub.set_defaults(run=scenario.run, when_stopped=when_stopped)
    return parser


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} must start with http:// or https://")
    return text.rstrip("/")


async def _until_stopped(options: argparse.Namespace) -> int:
    """Runs the scenario until it ends or a signal, or the scenario's own `stop`, ends it."""
    stop = asyncio.Event()
    for number in _ENDS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = asyncio.create_task(options.run(options, stop), name=f"scenario: {options.scenario}")
    stopped = asyncio.create_task(stop.wait(), name="until stopped")
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=_LEAVES_WITHIN_S)
        return int(options.when_stopped)
    return _status_of(work)


def _status_of(work: asyncio.Task[int]) -> int:
    """The scenario's own status; an expected end is told in one line, a bug keeps its traceback."""
    from httpx import TransportError

    from dropcast import DropcastError
    from loadtest.errors import CannotGoOn, LoadtestError

    error = work.exception()
    if error is None:
        return work.result()
    known = [leaf for leaf in _leaves(error) if isinstance(leaf, DropcastError | LoadtestError | TransportError)]
    if len(known) < len(list(_leaves(error))):
        raise error
    first = next((leaf for leaf in known if isinstance(leaf, CannotGoOn)), known[0])
    told = f"the server does not answer: {first!r}" if isinstance(first, TransportError) else str(first)
    print(f"loadtest: {told}", file=sys.stderr)
    return 1


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows: measured on uvloop, usable without
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


if __name__ == "__main__":
    sys.exit(main())
