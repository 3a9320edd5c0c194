"""The reverse proxy's real configuration: a template and the few lines that fill it in."""
