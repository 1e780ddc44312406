"""What is written down of a settled call: its ledger row, and a log line where one is wanted."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from aldgate.core.calls import Call, Failure, LedgerRow, Outcome
from aldgate.core.routes import Deployment

log = logging.getLogger("aldgate.calls")


def ledger_row(
    call: Call,
    deployment: Deployment,
    outcome: Outcome,
    cost_microusd: int,
    price_version: str,
    total_s: float,
    attempt: int = 1,
    is_final: bool = True,
) -> LedgerRow:
    """The ledger's line for a call, or with `is_final` False for an attempt of it that did not come to answer."""
    usage, principal = outcome.usage, call.principal
    return LedgerRow(
        call.id,
        call.received_at,
        principal.id,
        principal.account,
        call.operation,
        deployment.id,
        deployment.backend,
        call.peek.model,
        call.peek.stream,
        outcome.status,
        outcome.error.code if outcome.error else None,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        outcome.usage_source,
        cost_microusd,
        price_version,
        outcome.first_byte_s,
        total_s,
        attempt,
        is_final,
        principal.organisation,
        principal.team,
        principal.client,
        principal.user,
    )


def failure_row(call: Call, failure: Failure, cost_microusd: int, price_version: str) -> LedgerRow:
    """The ledger's line for an attempt that did not come to answer."""
    source = "counted" if failure.usage.total_tokens else "none"
    outcome = Outcome(failure.error.status, failure.usage, source, error=failure.error)
    number, total_s = failure.attempt, failure.total_s
    return ledger_row(call, failure.deployment, outcome, cost_microusd, price_version, total_s, number, is_final=False)


def log_call(call: Call, deployment: Deployment, outcome: Outcome, total_s: float) -> None:
    """One line for a call; no body and no credential is in it."""
    log.log(
        logging.WARNING if outcome.status >= 500 else logging.INFO,
        "call",
        extra={
            "request_id": call.id,
            "principal": call.principal.id,
            "operation": call.operation,
            "model": deployment.id,
            "status": outcome.status,
            "error_code": outcome.error.code if outcome.error else None,
            "input_tokens": outcome.usage.input_tokens,
            "output_tokens": outcome.usage.output_tokens,
            "total_s": round(total_s, 6),
            "cause": repr(outcome.error.__cause__) if outcome.error and outcome.error.__cause__ else None,
            "at": datetime.fromtimestamp(call.received_at, UTC).isoformat(),
        },
    )
