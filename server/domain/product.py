"""A product and its variants: what the catalogue holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """What is sold: a size, a colour. `stock` is what can still be put on a drop."""

    id: str
    sku: str
    label: str
    stock: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue. `price` is its list price in minor units; `image` an address or None."""

    id: str
    sku: str
    title: str
    description: str
    image: str | None
    price: int
    currency: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product that may be what somebody looks for, with its texts as the index has them (`grams.Entry`)."""

    id: str
    title: str
    also: str
    description: str
