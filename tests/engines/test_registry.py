from aldgate.engines import ENGINES


def test_every_engine_loads() -> None:
    assert ENGINES.names() == ["builtin"]
    assert [ENGINES.load(name).__name__ for name in ENGINES.names()] == ["Builtin"]
