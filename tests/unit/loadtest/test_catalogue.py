from __future__ import annotations

from loadtest.catalogue import goods, queries


def test_a_seed_makes_the_same_catalogue_and_queries_every_time() -> None:
    assert goods(500, 7) == goods(500, 7) != goods(500, 8)
    assert queries(goods(500, 7), 50, 7) == queries(goods(500, 7), 50, 7) != queries(goods(500, 7), 50, 8)


def test_no_two_products_have_the_same_title_or_sku_and_every_script_is_there() -> None:
    made = goods(3_000)
    assert len({" ".join(sorted(product.title.lower().split())) for product in made}) == len(made)
    assert len({product.sku for product in made}) == len(made)
    letters = set("".join(product.title for product in made))
    assert {"é", "灯", "ッ", "q"} <= letters


def test_every_query_is_misspelt_and_each_slip_comes_up() -> None:
    made = goods(3_000)
    titles = {product.sku: product.title.lower() for product in made}
    asked = queries(made, 200)
    assert len(asked) == len({query.sku for query in asked}) == 200
    assert all(query.typed != titles[query.sku] for query in asked)
    assert {slip for query in asked for slip in query.slips} == {
        "letters swapped", "letter missing", "letter doubled", "key beside", "accents missing", "word left out",
    }  # fmt: skip


def test_a_word_is_left_out_only_where_the_rest_names_one_product() -> None:
    made = goods(3_000)
    for query in queries(made, 400):
        if set(query.slips) == {"word left out"}:
            assert sum(all(word in product.title.lower() for word in query.typed.split()) for product in made) == 1
