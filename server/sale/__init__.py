"""Drops and orders: the host's commands, and the road from a click to a committed receipt."""
