"""How a database came to today's `schema.sql`: one file in `versions/` for each step, read by Alembic."""
