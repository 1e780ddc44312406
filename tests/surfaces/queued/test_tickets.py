"""Tickets: good for one job, for a while, and only as they were made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import UnknownKey
from aldgate.surfaces.queued.tickets import GOOD_FOR_S, Tickets

TICKETS = Tickets(b"s" * 32)
IDS = st.text(max_size=40)
TIMES = st.floats(min_value=0, max_value=1e10)


@given(job=IDS, now=TIMES, later=st.floats(min_value=0, max_value=GOOD_FOR_S - 1))
def test_a_ticket_is_good_for_its_job_and_its_time(job: str, now: float, later: float) -> None:
    ticket = TICKETS.issue(job, now)
    TICKETS.check(job, ticket, now + later)
    with pytest.raises(UnknownKey):
        TICKETS.check(job, ticket, now + GOOD_FOR_S + 2)


@given(job=IDS, other=IDS, now=TIMES)
def test_it_is_good_for_no_other_job_and_no_other_gate(job: str, other: str, now: float) -> None:
    ticket = TICKETS.issue(job, now)
    if job != other:
        with pytest.raises(UnknownKey):
            TICKETS.check(other, ticket, now)
    with pytest.raises(UnknownKey):
        Tickets(b"t" * 32).check(job, ticket, now)


@given(job=IDS, forged=st.text(max_size=120))
def test_nothing_else_is_one(job: str, forged: str) -> None:
    with pytest.raises(UnknownKey):
        TICKETS.check(job, forged, 0.0)
