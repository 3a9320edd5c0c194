"""Real services for tests: each on a private port, in a folder of its own, and gone when the test run is.

Every method is synchronous. In an async test whose clients must go on meanwhile:
`await asyncio.to_thread(redis.restart)`.
"""
