"""The demo catalogue: eight things to sell when nobody has typed in a product yet. Data only."""

from __future__ import annotations

from server.domain.product import Product, Variant

DEMO_STOCK_ENDLESS = 1_000_000
"""Units of `DEMO-1`, which load tests and the demo may sell for days without emptying the shelf."""


def _product(number: int, title: str, price: int, description: str, *variants: tuple[str, int]) -> Product:
    sku = f"DEMO-{number}"
    return Product(
        id="",
        sku=sku,
        title=title,
        description=description,
        image=f"/static/pictures/demo-{number}.svg",
        price=price,
        currency="USD",
        variants=tuple(Variant("", f"{sku}-{n}", label, stock) for n, (label, stock) in enumerate(variants, 1)),
    )


DEMO_PRODUCTS: tuple[Product, ...] = (
    _product(
        1,
        "Moonrise lamp",
        4_900,
        "A round little lamp that dims with one touch. It has talked many a late reader into one more chapter.",
        ("Warm white", DEMO_STOCK_ENDLESS),
    ),
    _product(
        2,
        "Two-cup tea set",
        5_800,
        "A pot, two cups and no third: made for conversations that should not be interrupted.",
        ("Celadon", 1_800),
        ("Ink blue", 1_200),
    ),
    _product(
        3,
        "Cloudstep sneakers",
        8_900,
        "Light enough to forget, soft enough to walk home the long way.",
        ("EU 38", 900),
        ("EU 40", 1_400),
        ("EU 42", 1_400),
        ("EU 44", 800),
    ),
    _product(
        4,
        "Hush headphones",
        12_900,
        "They turn a full train into a quiet room. Thirty hours on one charge; the silence is included.",
        ("Graphite", 1_500),
        ("Sand", 900),
    ),
    _product(
        5,
        "Long-weekend scarf",
        3_900,
        "Merino wool, knitted slowly. Long enough to share on a cold bench.",
        ("Rust", 700),
        ("Moss", 700),
        ("Cream", 700),
    ),
    _product(
        6,
        "First-light mug",
        1_800,
        "Stoneware with a thumb rest, glazed by hand. No two are the same, and neither are mornings.",
        ("Speckled", 2_500),
    ),
    _product(
        7,
        "Day-trip backpack",
        7_400,
        "Eighteen litres, one clever pocket, and room for the jumper somebody told you to take along.",
        ("Navy", 1_100),
        ("Ochre", 900),
    ),
    _product(
        8,
        "Forgiving plant",
        2_600,
        "A pothos in a clay pot. Likes light, does not mind being forgotten, never says a word about it.",
        ("Small pot", 1_600),
        ("Large pot", 800),
    ),
)
"""`DEMO-1` … `DEMO-8`. Ids are empty: the store gives its own. Prices in US cents."""
