"""Products, variants, search."""
