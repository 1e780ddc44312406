"""Counters of the gate, kept as plain numbers and turned into Prometheus' format only when somebody scrapes.

Labels are bounded: operations, providers, models of the catalogue, statuses and error codes. A name in no
catalogue is `other`.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator

import msgspec

from aldgate.core.breakers import BreakerState
from aldgate.core.usage import Usage
from aldgate.gate.routing.live import Live

BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


_OPENNESS: dict[BreakerState, float] = {"closed": 0.0, "half-open": 0.5, "open": 1.0}


class Histogram(msgspec.Struct):
    """Observations in seconds, by bucket."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total_s: float = 0.0

    def cumulative(self) -> Iterator[tuple[str, float]]:
        """Prometheus' buckets: upper bound -> how many were at most that."""
        seen = 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            seen += count
            yield bound, seen


class _Series(msgspec.Struct):
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int = 0
    duration: Histogram = msgspec.field(default_factory=Histogram)
    first_byte: Histogram = msgspec.field(default_factory=Histogram)


class Metrics:
    """Everything `/metrics` shows.

    Args:
        gauges: Name -> (help, how to read it now).
    """

    def __init__(self, gauges: dict[str, tuple[str, Callable[[], float]]]) -> None:
        self.gauges = gauges
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._refusals: dict[tuple[str, str], int] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self.live: Live | None = None
        self.requests = 0
        self.errors = 0
        self.latency_ms = 0.0

    def settled(
        self, key: tuple[str, str, int], usage: Usage, cost_microusd: int, first_byte_s: float | None, total_s: float
    ) -> None:
        """Count one settled call; `key` is its operation, model and status."""
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.calls += 1
        series.input_tokens += usage.input_tokens
        series.output_tokens += usage.output_tokens
        series.cost_microusd += cost_microusd
        duration, first_byte = series.duration, series.first_byte
        duration.counts[bisect_left(BUCKETS_S, total_s)] += 1
        duration.total_s += total_s
        if first_byte_s is not None:
            first_byte.counts[bisect_left(BUCKETS_S, first_byte_s)] += 1
            first_byte.total_s += first_byte_s
        self.requests += 1
        self.errors += key[2] >= 400
        self.latency_ms += total_s * 1000

    def refused(self, operation: str, code: str) -> None:
        """Count one call that was refused before it was dispatched."""
        key = operation, code
        self._refusals[key] = self._refusals.get(key, 0) + 1
        self.requests += 1
        self.errors += 1

    def attempt_failed(self, provider: str, code: str) -> None:
        """Count one attempt that failed, whether or not another one answered the call."""
        key = provider, code
        self._failures[key] = self._failures.get(key, 0) + 1

    def expose(self) -> bytes:
        """The text exposition format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
        from prometheus_client import generate_latest  # only scrapes need it
        from prometheus_client.registry import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)  # pyright: ignore[reportArgumentType] - has `collect`, which is all a collector needs
        return generate_latest(registry)

    def collect(self) -> Iterator[object]:
        """Part of Prometheus' collector protocol."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        labels = ("operation", "model", "status")
        calls = CounterMetricFamily("aldgate_calls", "Settled calls.", labels=labels)
        cost = CounterMetricFamily("aldgate_cost_microusd", "What calls cost, in micro-dollars.", labels=labels)
        tokens = CounterMetricFamily("aldgate_tokens", "Tokens by direction.", labels=(*labels, "direction"))
        duration = HistogramMetricFamily("aldgate_call_duration_seconds", "Admission to settlement.", labels=labels)
        first = HistogramMetricFamily("aldgate_first_byte_seconds", "Admission to the first byte of the answer.", labels=labels)
        for (operation, deployment, status), series in self._series.items():
            values = (operation, deployment, str(status))
            calls.add_metric(values, series.calls)
            cost.add_metric(values, series.cost_microusd)
            tokens.add_metric((*values, "input"), series.input_tokens)
            tokens.add_metric((*values, "output"), series.output_tokens)
            duration.add_metric(values, list(series.duration.cumulative()), series.duration.total_s)
            first.add_metric(values, list(series.first_byte.cumulative()), series.first_byte.total_s)
        refusals = CounterMetricFamily("aldgate_refusals", "Calls refused before dispatch.", labels=("operation", "code"))
        for key, count in self._refusals.items():
            refusals.add_metric(key, count)
        failures = CounterMetricFamily("aldgate_attempts_failed", "Attempts that failed.", labels=("provider", "code"))
        for key, count in self._failures.items():
            failures.add_metric(key, count)
        yield from (calls, cost, tokens, duration, first, refusals, failures)
        yield from self._collect_live()
        for name, (description, read) in self.gauges.items():
            yield GaugeMetricFamily(name, description, value=read())
        yield from self._collect_seed_names()

    def _collect_live(self) -> Iterator[object]:
        """Who rests. Only those that lately failed are there, so healthy ones make no series."""
        from prometheus_client.core import GaugeMetricFamily

        if self.live is None:
            return
        breakers = GaugeMetricFamily("aldgate_breaker_open", "1 open, 0.5 half-open, 0 closed again.", labels=("model",))
        rests = GaugeMetricFamily("aldgate_rest_seconds", "Seconds that a model is left alone yet.", labels=("model",))
        for name, state, rest_s in self.live.breakers():
            breakers.add_metric((name,), _OPENNESS[state])
            rests.add_metric((name,), rest_s)
        cooldowns = GaugeMetricFamily("aldgate_cooldown_seconds", "Seconds a credential is left alone.", labels=("provider",))
        for name, rest_s in self.live.cooldowns():
            cooldowns.add_metric((name,), rest_s)
        yield from (breakers, rests, cooldowns)

    def _collect_seed_names(self) -> Iterator[object]:
        """Names that dashboards of the gateways Aldgate replaces already read; see docs/migrating.md."""
        from prometheus_client.core import GaugeMetricFamily

        yield GaugeMetricFamily("api_gateway_up", "The gate answers.", value=1)
        yield GaugeMetricFamily("llm_api_request_count", "Calls, refused ones included.", value=self.requests)
        yield GaugeMetricFamily("llm_api_error_count", "Calls that failed or were refused.", value=self.errors)
        settled = sum(series.calls for series in self._series.values())
        yield GaugeMetricFamily("llm_api_latency_ms_count", "Calls with a latency.", value=settled)
        yield GaugeMetricFamily("llm_api_latency_ms_sum", "Milliseconds of all calls.", value=self.latency_ms)
