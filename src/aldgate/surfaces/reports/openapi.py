"""The paths of usage, statements, reconciliation and the audit log, as the OpenAPI document tells of them."""

from __future__ import annotations

import msgspec

from aldgate.books import UsageRow
from aldgate.core.audit import AuditRow, Finding
from aldgate.core.calls import LedgerRow
from aldgate.core.dimensions import DIMENSIONS
from aldgate.core.statements import Statement
from aldgate.surfaces.http.openapi import LOOK_ERRORS, Path


class UsageList(msgspec.Struct):
    """Ledger sums. Of the dimensions that were not asked for, only the first four stand in a row, as null."""

    object: str
    data: list[UsageRow]
    has_more: bool = False


class Ledger(msgspec.Struct):
    """A page of ledger rows; `next` is the `after` of the page behind it."""

    object: str
    data: list[LedgerRow]
    has_more: bool
    next: str | None


class AuditList(msgspec.Struct):
    """A page of the audit log; each row has also `at`, its time in ISO 8601."""

    object: str
    data: list[AuditRow]
    has_more: bool


class Verification(msgspec.Struct):
    """Whether the audit log is whole."""

    is_whole: bool
    rows: int
    anchor: str | None
    findings: list[Finding]


class AnchorReply(msgspec.Struct):
    """How far the audit log has come: the number and the hash of its last row."""

    anchor: str | None


_USAGE = ("group_by", *DIMENSIONS, "since", "until", "limit", "offset", "format")

PATHS = (
    Path(
        "get",
        "/v1/usage",
        "What was used and what it cost",
        None,
        UsageList,
        errors=(400, 401, 403, 503),
        query=_USAGE,
        tag="aldgate",
    ),
    Path("get", "/admin/usage", "What was used by all", None, UsageList, errors=(400, 401, 403, 503), query=_USAGE, tag="admin"),
    Path(
        "get",
        "/admin/ledger",
        "The ledger row by row",
        None,
        Ledger,
        errors=(400, 401, 403, 503),
        query=(*DIMENSIONS, "since", "until", "limit", "after", "format"),
        tag="admin",
    ),
    Path(
        "get",
        "/admin/statements/{account}",
        "A month of one account",
        None,
        Statement,
        errors=LOOK_ERRORS,
        query=("month", "format"),
        tag="admin",
    ),
    Path(
        "post",
        "/admin/reconcile",
        "The ledger beside a provider's export",
        str,
        None,
        errors=(400, 401, 403, 413, 503),
        query=("provider", "month", "layout", "column", "model", "tolerance_ppm", "tolerance_microusd"),
        tag="admin",
        content="text/csv",
    ),
    Path(
        "get",
        "/admin/audit",
        "What administrators did",
        None,
        AuditList,
        errors=(400, 401, 403, 503),
        query=("who", "act", "target", "outcome", "origin", "since", "until", "before", "after", "limit", "format"),
        tag="admin",
    ),
    Path(
        "get",
        "/admin/audit/verify",
        "Whether the audit log is whole",
        None,
        Verification,
        errors=(400, 401, 403, 503),
        query=("anchor",),
        tag="admin",
    ),
    Path(
        "get",
        "/admin/audit/anchor",
        "How far the audit log has come",
        None,
        AnchorReply,
        errors=(400, 401, 403, 503),
        tag="admin",
    ),
)
