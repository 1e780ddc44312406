"""What jobs count and cost: whatever an engine makes of a job, no more is charged than was held."""

import math

from hypothesis import given
from hypothesis import strategies as some

from aldgate.core.generation import MEDIA_OPERATIONS, Generated, Generation, Input
from aldgate.core.job_bills import charge_microusd, cost_microusd, done_work, expected_work, most_work, units_of
from aldgate.core.jobs import Hold, Made, Price, Work

FIGURES = some.integers(0, 10**15)
PRICES = some.builds(Price, gpu_second=FIGURES, image=FIGURES, audio_second=FIGURES, job=FIGURES)
WORKS = some.builds(Work, images=some.integers(0, 100), audio_s=some.integers(0, 10**5), gpu_s=some.integers(0, 10**6))
DURATIONS = some.none() | some.floats(0.01, 3_600)
RECORDINGS = some.builds(Input, role=some.just("audio"), mime=some.just("audio/wav"), data=some.binary(max_size=3_000))
ASKED = some.builds(
    Generation,
    operation=some.sampled_from(sorted(MEDIA_OPERATIONS)),
    prompt=some.text(max_size=50),
    count=some.integers(1, 10),
    duration_s=DURATIONS,
    speed=some.none() | some.floats(0.25, 4),
    inputs=some.lists(RECORDINGS, max_size=2).map(tuple),
)
SAID = some.none() | some.floats() | some.text(max_size=3) | some.integers(-5, 99)
MADE = some.lists(
    some.builds(
        Made,
        id=some.just("art-1"),
        mime=some.sampled_from(["image/png", "audio/wav", "video/mp4"]),
        bytes=some.just(1),
        sha256=some.just("0"),
        facts=some.dictionaries(some.just("duration_s"), SAID),
    ),
    max_size=5,
)


@given(PRICES, ASKED, some.integers(1, 7_200), MADE, some.none() | some.floats(), some.integers(0, 10_000), some.booleans())
def test_no_job_is_charged_more_than_was_held(
    price: Price, asked: Generation, timeout_s: int, made: list[Made], said_s: float | None, gpu_s: int, is_done: bool
):
    hold = Hold(price, cost_microusd(price, most_work(asked, timeout_s)), expected_work(asked, 1))
    done = done_work(asked.operation, Generated(duration_s=said_s), made, gpu_s, hold.expected)
    assert 0 <= charge_microusd(hold, done, is_done=is_done) <= hold.most_microusd
    assert min(done.images, done.audio_s, done.gpu_s) >= 0


@given(PRICES, ASKED, some.integers(1, 7_200))
def test_what_is_likely_is_not_over_the_most(price: Price, asked: Generation, timeout_s: int):
    likely, most = expected_work(asked, 1), most_work(asked, timeout_s)
    assert likely.images == most.images and likely.gpu_s <= most.gpu_s
    if asked.duration_s is not None or asked.operation not in ("speech", "transcribe"):
        assert likely.audio_s <= most.audio_s


@given(PRICES, WORKS, WORKS)
def test_more_work_never_costs_less_and_parts_never_less_than_the_whole(price: Price, one: Work, other: Work):
    both = Work(one.images + other.images, one.audio_s + other.audio_s, one.gpu_s + other.gpu_s)
    assert max(cost_microusd(price, one), cost_microusd(price, other)) <= cost_microusd(price, both)
    assert cost_microusd(price, both) <= cost_microusd(price, one) + cost_microusd(price, other)


def test_a_job_costs_its_seconds_its_pictures_and_itself():
    price = Price(gpu_second=300 * 10**6, image=20_000 * 10**6, job=5 * 10**6)
    hold = Hold(price, 10**9)
    assert charge_microusd(hold, Work(images=2, gpu_s=7)) == 2_100 + 40_000 + 5
    assert charge_microusd(hold, Work(gpu_s=7), is_done=False) == 2_100
    assert charge_microusd(Hold(price, 1_000), Work(images=2, gpu_s=7)) == 1_000


def test_a_second_begun_is_a_second_and_sound_nobody_measured_is_as_long_as_expected():
    heard = Made("art-1", "audio/wav", 1, "0", facts={"duration_s": 2.25})
    assert done_work("speech", Generated(), [heard, heard], 3, Work()) == Work(audio_s=5, gpu_s=3)
    assert done_work("speech", Generated(duration_s=1.5), [], 3, Work()) == Work(audio_s=2, gpu_s=3)
    assert done_work("music", Generated(), [], 3, Work(audio_s=30)) == Work(audio_s=30, gpu_s=3)
    assert done_work("music", Generated(duration_s=math.inf), [], 3, Work(audio_s=30)) == Work(audio_s=30, gpu_s=3)
    assert done_work("image", Generated(duration_s=9), [heard], 3, Work()) == Work(gpu_s=3)


def test_the_most_of_sound_is_what_it_can_come_to():
    said = Generation(operation="speech", prompt="x" * 100, speed=0.25)
    assert most_work(said, 0.5) == Work(audio_s=201, gpu_s=1)
    heard = Generation(operation="transcribe", inputs=(Input("audio", "audio/ogg", bytes(7_500)),))
    assert most_work(heard, 10) == Work(audio_s=11, gpu_s=10)
    assert most_work(Generation(operation="music"), 10).audio_s == 900
    assert most_work(Generation(operation="music", duration_s=9.1, count=2), 10).audio_s == 20


def test_units_are_one_request_and_the_work():
    assert units_of(Work(images=2, audio_s=3, gpu_s=4)) == (1, 0, 2, 3, 4)
