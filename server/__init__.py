"""Dropcast: a real-time live-stream commerce server. ARCHITECTURE.md shows the way round."""
