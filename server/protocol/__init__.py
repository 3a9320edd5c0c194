"""What is said on the socket, without I/O: frames, codec, close codes, the session's states."""
