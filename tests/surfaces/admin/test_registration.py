import pytest

from aldgate.core.errors import RateLimited
from aldgate.surfaces.admin.registration import MOST_PER_MINUTE, Registration


def test_ten_a_minute() -> None:
    now = [100.0]
    registration = Registration("always", True, lambda: now[0])
    for _ in range(MOST_PER_MINUTE):
        registration.check({})
    now[0] = 159.9
    with pytest.raises(RateLimited) as refused:
        registration.check({})
    assert refused.value.retry_after_s == 1
    now[0] = 160.0
    registration.check({})
