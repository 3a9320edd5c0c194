"""The viewers of this replica: who watches what, and what reaches them."""
