"""The doorbell: pub/sub between replicas. It may be missed; the log in the database is the letter."""
