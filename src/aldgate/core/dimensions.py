"""What the ledger can be summed and filtered by."""

DIMENSIONS = (
    "key",
    "user",
    "client",
    "team",
    "organisation",
    "model",
    "requested_model",
    "provider",
    "operation",
    "status",
    "error_code",
    "usage_source",
    "hour",
    "day",
    "week",
    "month",
)
"""`model` is what was billed, `requested_model` what the caller asked for."""
