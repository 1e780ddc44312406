"""`aldgate selftest` against a real gate, and against one that refuses nothing."""

from collections.abc import Iterator

import pytest

from aldgate.cli.selftest import SMUGGLED
from tests.cli.loopback_gate import Aldgate
from tests.cli.serving import Serving

ADMIN_KEY = "k9Xw2-Lq7Zt4_Rv8Nc1Bd5Hm3Js6Fg0Pa"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("gate"), "--port", "0", ALDGATE_ADMIN_KEY=ADMIN_KEY) as serving:
        yield serving


def test_a_gate_passes_and_nothing_is_left(serving: Serving) -> None:
    tested = serving.aldgate("selftest", "--security", "--json", key=ADMIN_KEY)
    assert tested.code == 0, tested.out
    assert tested.json["findings"] == 0
    assert len(tested.json["checks"]) > 15 + len(SMUGGLED) - 3
    keys = serving.aldgate("keys", "list", "--json", key=ADMIN_KEY).json["keys"]
    assert len(keys) == 5 and not any(key["active"] for key in keys)


def test_nothing_asked_for_is_nothing_done(aldgate: Aldgate) -> None:
    tested = aldgate("selftest")
    assert (tested.code, tested.out) == (1, "") and "--security" in tested.err
