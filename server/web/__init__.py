"""The edge: HTTP and the socket's handshake. `routes.py` holds the whole surface in one list."""
