"""One shop for all pages of the run: imported into each module, its fixtures would start one for each."""

from tests.journeys.conftest import own_shop, premises, shop

__all__ = ["own_shop", "premises", "shop"]
