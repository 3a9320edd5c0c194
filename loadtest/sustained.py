"""How many orders a second: viewers order as fast as they are answered, and then at fixed times below that rate."""

import argparse
from loadtest.stall import Stall


async def measure(options: argparse.Namespace, shop: Stall) -> tuple[dict[str, float], list[str], dict[str, object]]:
    raise NotImplementedError
