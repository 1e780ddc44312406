import re

from aldgate.gate.ids import CallIds


def test_ids_are_unique_and_grow() -> None:
    new_id = CallIds()
    ids = [new_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids) and ids == sorted(ids)
    assert all(re.fullmatch(r"req-[0-9a-f]{24}", each) for each in ids)


def test_two_processes_do_not_meet() -> None:
    one, other = CallIds(), CallIds()
    parts = {each[16:22] for each in (one(), one())}, {each[16:22] for each in (other(), other())}
    assert all(len(part) == 1 for part in parts)
    assert parts[0] != parts[1]
