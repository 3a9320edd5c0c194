"""All metrics, declared once. Names follow Prometheus' conventions; every unit is in the name."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

VIEWERS = Gauge("dropcast_sockets", "Sockets joined to a stream on this replica")
STREAMS = Gauge("dropcast_streams_open", "Streams this replica follows")
JOINS = Counter("dropcast_joins_total", "Viewers welcomed", ["kind"])
FRAMES = Counter("dropcast_frames_fanned_out_total", "Frames made for all viewers of a stream", ["kind"])
SOCKETS_CLOSED = Counter("dropcast_sockets_closed_total", "Sockets this replica closed", ["code"])
ROTATED = Counter("dropcast_viewers_rotated_total", "Viewers asked to come back because they had been here long")
HEALED = Counter("dropcast_events_healed_total", "Events read from the log because the bus did not bring them")
BUS_UP = Gauge("dropcast_bus_up", "1 while this replica hears the bus")
RINGS_LOST = Counter("dropcast_rings_lost_total", "Messages the bus did not take")
RECEIPTS = Counter("dropcast_receipts_total", "Receipts given", ["reason"])
REFUSED_EARLY = Counter("dropcast_orders_refused_early_total", "Orders refused without asking the database")
UNTOLD = Counter("dropcast_receipts_untold_total", "Receipts whose socket was gone, by what became of them", ["fate"])
REMEMBERED = Gauge("dropcast_receipts_remembered", "Receipts that wait here for viewers to come back")
BATCH_ORDERS = Histogram(
    "dropcast_batch_orders",
    "Orders committed in one transaction",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048),
)
COMMIT_SECONDS = Histogram(
    "dropcast_commit_seconds",
    "Time of one batch from lock to COMMIT",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
QUEUE_ORDERS = Gauge("dropcast_orders_waiting", "Orders waiting for the committer")
BREAKER_OPEN = Gauge("dropcast_breaker_open", "1 while orders are refused because the database does not answer")
LATE = Counter("dropcast_receipts_late_total", "Orders found accepted after their viewer was told busy")
VIOLATIONS = Gauge("dropcast_violations", "Violations of invariants in the database, found by the replica that watches")
VERIFIED = Gauge("dropcast_verified_timestamp_seconds", "When this replica last ended a pass of the watch")
COLLECTOR_SECONDS = Gauge(
    "dropcast_collector_seconds", "Time Python's cycle collector took so far; nothing else goes on meanwhile"
)
MAILS_WAITING = Gauge("dropcast_mails_waiting", "Mails that wait in the database to be sent")
MAILS_SENT = Counter("dropcast_mails_sent_total", "Mails handed over", ["purpose"])
MAILS_FAILED = Counter(
    "dropcast_mails_failed_total", "Times a mail was not taken: again (to be tried again), refused, expired", ["end"]
)
LIMITED = Counter("dropcast_limited_total", "Refusals because somebody came too often or with too much", ["rule"])
TASKS_DIED = Counter("dropcast_tasks_died_total", "Background tasks that ended by themselves", ["owner"])
BUGS = Counter("dropcast_bugs_total", "Unexpected errors answered with internal", ["where"])


def text() -> bytes:
    """The current values in Prometheus' text format."""
    return generate_latest(REGISTRY)
