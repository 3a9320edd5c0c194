"""Other ways to build the same thing, to measure ours against in one run."""
