from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.throttles import MOST_NAMES, Throttle


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_burst_passes_and_then_one_at_a_time() -> None:
    clock = Clock()
    throttle = Throttle(3, 10.0, clock)
    assert [throttle.take("a") for _ in range(5)] == [0.0, 0.0, 0.0, 10.0, 10.0]
    assert throttle.take("b") == 0.0
    clock.at = 9.0
    assert throttle.take("a") == 1.0
    clock.at = 10.0
    assert (throttle.take("a"), throttle.take("a")) == (0.0, 10.0)


def test_what_was_no_failure_does_not_count() -> None:
    throttle = Throttle(2, 10.0, Clock())
    for _ in range(20):
        assert throttle.take("a") == 0.0
        throttle.give_back("a")
    throttle.give_back("never seen")


def test_names_beyond_the_bound_push_out_the_oldest() -> None:
    throttle = Throttle(1, 10.0, Clock())
    assert throttle.take("first") == 0.0
    for number in range(MOST_NAMES):
        throttle.take(str(number))
    assert throttle.take("first") == 0.0


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 5), st.floats(0.1, 50))
def test_no_window_has_more_than_the_burst_and_what_time_gave(gaps: list[float], burst: int, every_s: float) -> None:
    clock = Clock()
    throttle = Throttle(burst, every_s, clock)
    passed: list[float] = []
    for gap in gaps:
        clock.at += gap
        wait_s = throttle.take("a")
        assert 0 <= wait_s <= every_s * 1.000001
        if not wait_s:
            passed.append(clock.at)
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - begin) / every_s + 1.000001
