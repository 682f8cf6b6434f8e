"""Counters for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """What the server counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Counter(
            "i1_http_answers_total", "Answers by status.", ["method", "status"], registry=self.registry
        )
        self.tasks = Counter(
            "i1_requests_total",
            "Requests by how they ended.",
            ["outcome"],
            registry=self.registry,
        )
        self.pictures = Counter(
            "i1_pictures_total", "Pictures that were finished.", ["model"], registry=self.registry
        )
        self.batch_size = Histogram(
            "i1_batch_pictures",
            "Pictures that began in one batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.step_seconds = Histogram("i1_step_seconds", "Time of one step.", registry=self.registry)
        self.queued = Gauge(
            "i1_queued_pictures", "Pictures that wait for the device.", registry=self.registry
        )

    def text(self) -> bytes:
        """Returns all values in Prometheus' text format."""
        return generate_latest(self.registry)
