import logging

import pytest

from aldgate.core.principals import ADMIN
from aldgate.gate.acts import LoggedActs


async def test_an_act_is_a_line_of_the_log_with_who_what_and_whom(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "aldgate.acts"):
        await LoggedActs().did(ADMIN, "user.disable", "user-1", {"name": "ada"})
    (record,) = caplog.records
    said = {name: vars(record)[name] for name in ("principal", "target", "details")}
    assert (record.getMessage(), said) == (
        "user.disable",
        {"principal": "admin", "target": "user-1", "details": {"name": "ada"}},
    )
