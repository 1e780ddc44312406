from prometheus_client.parser import text_string_to_metric_families

from aldgate.core.usage import Usage
from aldgate.gate.metrics import BUCKETS_S, Metrics

LABELS = {"operation": "chat", "model": "lab/small", "status": "200"}


def settle(
    metrics: Metrics, *, model: str = "lab/small", status: int = 200, first_byte_s: float | None = 0.2, total_s: float = 0.7
) -> None:
    metrics.settled(("chat", model, status), Usage(10, 5), 7, first_byte_s, total_s)


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.expose().decode())
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, frozenset(labels.items())]


def test_what_was_settled_is_exposed() -> None:
    metrics = Metrics({"aldgate_calls_under_way": ("Calls.", lambda: 3)})
    for first_byte_s in (0.2, None):
        settle(metrics, first_byte_s=first_byte_s)
    assert value(metrics, "aldgate_calls_total", **LABELS) == 2
    assert value(metrics, "aldgate_cost_microusd_total", **LABELS) == 14
    assert value(metrics, "aldgate_tokens_total", **LABELS, direction="input") == 20
    assert value(metrics, "aldgate_tokens_total", **LABELS, direction="output") == 10
    assert value(metrics, "aldgate_call_duration_seconds_count", **LABELS) == 2
    assert value(metrics, "aldgate_call_duration_seconds_sum", **LABELS) == 1.4
    assert value(metrics, "aldgate_call_duration_seconds_bucket", **LABELS, le="0.5") == 0
    assert value(metrics, "aldgate_call_duration_seconds_bucket", **LABELS, le="1.0") == 2
    assert value(metrics, "aldgate_first_byte_seconds_count", **LABELS) == 1
    assert value(metrics, "aldgate_calls_under_way") == 3


def test_bounds_are_inclusive_and_buckets_cumulative() -> None:
    metrics = Metrics({})
    for total_s in (*BUCKETS_S, BUCKETS_S[-1] + 1):
        settle(metrics, total_s=total_s)
    for number, bound in enumerate(BUCKETS_S, 1):
        assert value(metrics, "aldgate_call_duration_seconds_bucket", **LABELS, le=str(bound)) == number
    assert value(metrics, "aldgate_call_duration_seconds_bucket", **LABELS, le="+Inf") == len(BUCKETS_S) + 1


def test_refusals_and_failures_count_as_errors_under_the_older_names_too() -> None:
    metrics = Metrics({})
    settle(metrics)
    settle(metrics, status=502)
    metrics.refused("chat", "rate_limit_exceeded")
    assert value(metrics, "aldgate_refusals_total", operation="chat", code="rate_limit_exceeded") == 1
    assert value(metrics, "api_gateway_up") == 1
    assert value(metrics, "llm_api_request_count") == 3
    assert value(metrics, "llm_api_error_count") == 2
    assert value(metrics, "llm_api_latency_ms_count") == 2
    assert value(metrics, "llm_api_latency_ms_sum") == 1400


def test_labels_of_any_text_are_escaped() -> None:
    metrics = Metrics({})
    settle(metrics, model='lab/"a\\b\n"')
    assert value(metrics, "aldgate_calls_total", **{**LABELS, "model": 'lab/"a\\b\n"'}) == 1


def test_an_empty_exposition_parses() -> None:
    assert value(Metrics({}), "llm_api_request_count") == 0
