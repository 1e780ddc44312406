"""Placement: what the decision never does, over random mixes; and single cases by name."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aldgate.core.placement import Candidate, Device, Evict, Load, Plan, Residency, Run, Wait, decide, loaded, plan

GPU = Device(name="gpu0", total_mb=24_000, reserve_mb=500, starvation_s=60.0)
NOW = 1_000.0
ENGINES = ("comfy", "wan", "yue", "ollama", "whisper")

devices = st.builds(
    Device,
    name=st.just("gpu0"),
    total_mb=st.integers(1, 40),
    reserve_mb=st.integers(0, 4),
    foreign_mb=st.integers(0, 20),
    starvation_s=st.sampled_from([0.0, 60.0]),
)
times = st.floats(800.0, NOW)


@st.composite
def mixes(draw: st.DrawFn):
    """A device that is not over-committed, and who waits for it."""
    device = draw(devices)
    needs = {
        name: (draw(st.integers(0, 24)), draw(st.booleans()), draw(st.integers(1, 3)), draw(st.sampled_from([None, 100.0])))
        for name in ENGINES
    }
    here: list[Residency] = []
    for name in draw(st.lists(st.sampled_from(ENGINES), unique=True)):
        memory, exclusive, places, idle_s = needs[name]
        alone = any(each.running and (each.exclusive or exclusive) for each in here)
        running = 0 if alone else draw(st.integers(0, places))
        state = draw(st.sampled_from(["loading", "ready", "evicting", "unknown"]))
        here.append(
            Residency(
                engine=name,
                state=state,
                memory_mb=memory or 1,
                exclusive=exclusive,
                places=places,
                running=0 if state == "evicting" else running,
                since=draw(times),
                used_at=draw(times),
                idle_s=idle_s,
            )
        )
    waiting = draw(st.lists(st.tuples(st.sampled_from(ENGINES), times), max_size=8))
    candidates = [
        Candidate(
            job=f"job-{at}", engine=name, memory_mb=needs[name][0], exclusive=needs[name][1], places=needs[name][2], since=since
        )
        for at, (name, since) in enumerate(waiting)
    ]
    return device, here, candidates


def after(mix, made: Plan) -> list[Residency]:
    """Who is there once the plan was carried out."""
    device, here, candidates = mix
    by_engine = {each.engine: each for each in here}
    for name in made.evict:
        by_engine[name] = replace(by_engine[name], state="evicting")
    for each in candidates:
        if each.engine in made.load and each.engine not in by_engine:
            by_engine[each.engine] = loaded(each, made.load[each.engine], NOW)
        if each.job in made.begin:
            by_engine[each.engine] = replace(by_engine[each.engine], running=by_engine[each.engine].running + 1)
    return list(by_engine.values())


def room(device: Device, here: list[Residency]) -> int:
    return device.total_mb - device.reserve_mb - device.foreign_mb - sum(each.memory_mb for each in here)


@given(mixes())
@settings(max_examples=200, deadline=None)
def test_what_is_loaded_fits_beside_all_that_is_there(mix):
    device, here, candidates = mix
    made = plan(device, here, candidates, NOW)
    if made.load:
        assert room(device, after(mix, made)) >= 0


@given(mixes())
@settings(max_examples=200, deadline=None)
def test_whoever_must_be_alone_works_alone(mix):
    device, here, candidates = mix
    made = plan(device, here, candidates, NOW)
    begun = {each.engine for each in candidates if each.job in made.begin}
    working = [each for each in after(mix, made) if each.running]
    if len(working) > 1:
        assert not begun & {each.engine for each in working if each.exclusive}
        assert not (begun and any(each.exclusive for each in working))
    assert all(each.running <= each.places or each.running == before(here, each.engine) for each in after(mix, made))


def before(here: list[Residency], engine: str) -> int:
    return next((each.running for each in here if each.engine == engine), 0)


@given(mixes())
@settings(max_examples=200, deadline=None)
def test_what_works_stays_and_what_leaves_takes_nothing_more(mix):
    device, here, candidates = mix
    made = plan(device, here, candidates, NOW)
    assert not [each for each in here if each.engine in made.evict and (each.running or not each.is_live)]
    gone = {each.engine for each in here if each.state in ("evicting", "unknown")} | set(made.evict)
    ended = {each.engine for each in after(mix, made) if each.state == "evicting"}
    assert not [each for each in candidates if each.job in made.begin and each.engine in gone - ended]


@given(mixes())
@settings(max_examples=200, deadline=None)
def test_a_device_with_work_and_room_does_not_stand_idle(mix):
    device, here, candidates = mix
    made = plan(device, here, candidates, NOW)
    then = after(mix, made)
    if made.evict or any(each.running or each.state in ("evicting", "unknown") for each in then):
        return
    left = [each for each in candidates if each.job not in made.begin]
    space = device.total_mb - device.reserve_mb - device.foreign_mb
    assert not [each for each in left if 0 < each.memory_mb <= space]


@given(mixes())
@settings(max_examples=200, deadline=None)
def test_nobody_who_has_had_a_turn_goes_before_the_job_that_has_waited_too_long(mix):
    device, here, candidates = mix
    made = plan(device, here, candidates, NOW)
    then = {each.engine: each for each in after(mix, made)}
    stuck = sum(each.memory_mb for each in here if each.state == "unknown")
    space = device.total_mb - device.reserve_mb - device.foreign_mb - stuck
    used_at = {each.engine: each.used_at for each in here}
    had_turn = {each.engine for each in here if NOW - each.since >= device.starvation_s}
    alone = [each.exclusive for each in here if each.state == "unknown" and each.running]
    for each in candidates:
        is_starved = NOW - each.since > device.starvation_s and each.engine not in then and each.memory_mb <= space
        if not is_starved or not each.memory_mb or any(alone) or (alone and each.exclusive):
            continue
        new = [other for other in candidates if other.job in made.begin]
        later = [other for other in new if max(other.since, used_at.get(other.engine, 0.0)) > each.since]
        assert not [other for other in later if other.engine in had_turn and other.engine not in made.load]
        assert all(min(other.since for other in new if other.engine == engine) <= each.since for engine in made.load)


def test_a_turn_ends_and_the_device_is_cleared_for_whoever_waited():
    """A stream of jobs for what is resident; the other's job begins when that one's turn is over and its last job has ended."""
    here = Residency(engine="comfy", memory_mb=20_000, running=1, since=NOW - 100, used_at=NOW)
    stream = [Candidate(job=f"c{at}", engine="comfy", memory_mb=20_000, since=NOW - 200) for at in range(3)]
    late = Candidate(job="late", engine="wan", memory_mb=12_000, since=NOW - 61)
    assert decide(GPU, [here], [*stream, late], NOW).why == "busy"
    ended = replace(here, running=0)
    assert decide(GPU, [ended], [*stream, late], NOW) == Evict("comfy")
    assert isinstance(decide(GPU, [replace(ended, state="evicting")], [*stream, late], NOW), Wait)
    others = [replace(each, since=NOW - 50) for each in stream]
    assert decide(GPU, [], [*others, late], NOW) == Load("late", "wan", 12_000)


def test_what_is_resident_goes_first_before_that():
    here = Residency(engine="comfy", memory_mb=20_000, since=NOW - 100, used_at=NOW)
    new = Candidate(job="c", engine="comfy", memory_mb=20_000, since=NOW - 1)
    other = Candidate(job="o", engine="wan", memory_mb=12_000, since=NOW - 59)
    assert decide(GPU, [here], [other, new], NOW) == Run("c")


def test_a_turn_that_has_just_begun_is_not_cut_short():
    here = Residency(engine="wan", memory_mb=20_000, since=NOW - 10, used_at=NOW)
    mine = Candidate(job="m", engine="wan", memory_mb=20_000, since=NOW - 90)
    other = Candidate(job="o", engine="comfy", memory_mb=20_000, since=NOW - 100)
    assert decide(GPU, [here], [other, mine], NOW) == Run("m")


def test_the_least_recently_used_leaves_and_no_more_than_needed():
    here = [
        Residency(engine="a", memory_mb=2_000, exclusive=False, used_at=NOW - 300),
        Residency(engine="b", memory_mb=9_000, exclusive=False, used_at=NOW - 200),
        Residency(engine="c", memory_mb=9_000, exclusive=False, used_at=NOW - 100),
    ]
    wants = [Candidate(job="d", engine="d", memory_mb=12_000, since=NOW)]
    assert plan(GPU, here, wants, NOW).evict == ("b",)


def test_nobody_leaves_where_that_would_not_be_enough():
    here = [
        Residency(engine="a", memory_mb=10_000, exclusive=False, running=1, used_at=NOW),
        Residency(engine="b", memory_mb=5_000, exclusive=False, used_at=NOW - 200),
    ]
    wants = [Candidate(job="d", engine="d", memory_mb=20_000, exclusive=False, since=NOW)]
    made = plan(GPU, here, wants, NOW)
    assert made.evict == ()
    assert made.waits["d"].why == "memory"


def test_two_that_fit_stay_resident_and_take_turns_without_a_swap():
    here = [
        Residency(engine="a", memory_mb=10_000, used_at=NOW - 5),
        Residency(engine="b", memory_mb=10_000, used_at=NOW - 1),
    ]
    wants = [Candidate(job="1", engine="a", since=NOW), Candidate(job="2", engine="b", since=NOW)]
    made = plan(GPU, here, wants, NOW)
    assert (made.begin, made.evict, made.waits["2"].why) == (("1",), (), "busy")


def test_an_engine_of_unknown_memory_has_the_device_to_itself():
    wants = [Candidate(job="1", engine="a", exclusive=False, since=NOW)]
    made = plan(GPU, [], wants, NOW)
    assert made.load == {"a": 23_500}
    beside = [Residency(engine="a", memory_mb=0, exclusive=False, running=1)]
    small = Candidate(job="2", engine="b", memory_mb=10, exclusive=False, since=NOW)
    assert decide(GPU, beside, [small], NOW).why == "memory"


def test_each_reason_to_wait_is_named():
    job = Candidate(job="1", engine="a", memory_mb=20_000, since=NOW)
    full = replace(GPU, foreign_mb=10_000)
    assert decide(full, [], [job], NOW).why == "foreign"
    assert decide(GPU, [], [replace(job, memory_mb=30_000)], NOW).why == "too large"
    assert decide(GPU, [Residency(engine="a", state="unknown", memory_mb=9)], [job], NOW).why == "unknown"
    assert decide(GPU, [Residency(engine="a", state="evicting", memory_mb=9)], [job], NOW).why == "evicting"
    assert decide(GPU, [Residency(engine="b", state="evicting", memory_mb=9_000)], [job], NOW).why == "evicting"
    assert decide(GPU, [Residency(engine="a", memory_mb=9, running=1)], [job], NOW).why == "busy"
    assert decide(GPU, [Residency(engine="b", memory_mb=9, running=1)], [job], NOW).why == "busy"
    assert decide(replace(GPU, total_mb=0), [], [job], NOW).why == "unknown"
    assert decide(GPU, [], [], NOW).reason == "no job waits"


def test_what_foreign_programs_hold_is_waited_for_and_holds_up_nobody_else():
    full = replace(GPU, foreign_mb=10_000)
    large = Candidate(job="l", engine="a", memory_mb=20_000, since=NOW - 500)
    small = Candidate(job="s", engine="b", memory_mb=5_000, since=NOW)
    assert decide(full, [], [large, small], NOW) == Load("s", "b", 5_000)


def test_whoever_was_without_work_for_long_leaves():
    here = Residency(engine="a", memory_mb=9_000, used_at=NOW - 301, idle_s=300.0)
    assert decide(GPU, [here], [], NOW) == Evict("a")
    assert isinstance(decide(GPU, [replace(here, used_at=NOW - 299)], [], NOW), Wait)
    assert isinstance(decide(GPU, [replace(here, idle_s=None)], [], NOW), Wait)
