"""Crowds and hosts that speak the protocol: the demo's, and load tests. Imports `protocol` and `domain` only."""
