"""SQL: the only truth. Each module is one subject; each public call is one unit of work with a deadline."""
