"""What is true, without I/O: standard library only."""
