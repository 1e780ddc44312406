"""Placement over time: random workloads replayed to their end, where every job begins within the bound."""

import pytest
from bench.placement import Arrival, EngineFacts, Replay, Workload, bound_s, row, workloads
from hypothesis import given, settings
from hypothesis import strategies as st

from aldgate.core.placement import Device, plan

facts = st.builds(
    EngineFacts,
    memory_mb=st.integers(0, 20),
    run_s=st.floats(1, 30),
    load_s=st.floats(0, 30),
    exclusive=st.booleans(),
    places=st.integers(1, 3),
    unload_s=st.floats(0, 5),
)


@st.composite
def busy_days(draw: st.DrawFn) -> Workload:
    engines = draw(st.dictionaries(st.sampled_from("abcd"), facts, min_size=1))
    comes = st.tuples(st.floats(0, 2_000), st.sampled_from(sorted(engines)), st.floats(0.5, 1.5))
    arrivals = sorted(draw(st.lists(comes, min_size=1, max_size=60)))
    device = Device(name="gpu0", total_mb=24, reserve_mb=2, starvation_s=draw(st.sampled_from([0.0, 60.0, 300.0])))
    return Workload("random", device, engines, tuple(Arrival(at, name, by * engines[name].run_s) for at, name, by in arrivals))


@given(busy_days())
@settings(max_examples=150, deadline=None)
def test_every_job_begins_and_no_engine_waits_beyond_the_bound(workload: Workload):
    outcome = Replay(workload, plan).run()
    assert len(outcome.waits) == len(workload.arrivals)
    assert max(outcome.turns) <= bound_s(workload)


@pytest.mark.parametrize("workload", workloads(seed=7, count=300), ids=lambda each: each.name)
def test_fewer_swaps_than_first_in_first_out_and_no_longer_waits(workload: Workload):
    text, kept = row(workload)
    assert kept, text
