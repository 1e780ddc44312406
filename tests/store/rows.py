"""Ledger rows, keys and slice requests to test with."""

from aldgate.core.calls import LedgerRow
from aldgate.core.limits import Limits
from aldgate.core.policies import Policy
from aldgate.storage import SliceRequest, StoredKey

NOON = 1_790_000_000.0 // 86_400 * 86_400 + 43_200
"""Some noon, UTC: 2026-09-21."""

ROW = LedgerRow(
    call_id="req-0",
    received_at=NOON,
    principal_id="key-1",
    account="key-1",
    operation="chat",
    model="small",
    provider="fake",
    requested_model="small",
    stream=False,
    status=200,
    error_code=None,
    input_tokens=10,
    output_tokens=5,
    cached_tokens=2,
    cache_write_tokens=0,
    reasoning_tokens=1,
    usage_source="reported",
    cost_microusd=100,
    price_version="test-1",
    first_byte_s=0.25,
    total_s=0.5,
)

KEY = StoredKey(
    id="key-1",
    name="web shop",
    prefix="ag-abc",
    policy=Policy(scopes=frozenset({"chat", "models"}), limits=Limits(rpm=60, tpd=10**12)),
    created_at=NOON,
)


def ask(
    account: str = "key-1", *, limit: int = 1_000, reported: int = 0, give_back: int = 0, minimum: int = 0, maximum: int = 0
) -> SliceRequest:
    """What a process asks of a budget; by default nothing."""
    return SliceRequest(account, "2026-09", limit, reported, give_back, minimum, maximum or minimum)
