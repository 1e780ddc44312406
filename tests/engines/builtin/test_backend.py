import msgspec
import pytest

from aldgate.core.catalogue import build_catalogue
from aldgate.core.errors import InvalidRequest
from aldgate.core.prices import FREE
from aldgate.engines.builtin.backend import Builtin
from aldgate.engines.builtin.echo import EchoOptions
from aldgate.ports import Backend

from .conftest import attempt_of

pytestmark = pytest.mark.anyio


async def test_the_catalogue_gets_free_models() -> None:
    backend: Backend = Builtin()
    catalogue, problems = build_catalogue([await backend.discover()], {"gpt-4o": "builtin/echo"})
    assert problems == []
    assert {model.id: model.operations for model in catalogue.models} == {
        "builtin/echo": {"chat", "complete"},
        "builtin/embed": {"embed"},
        "builtin/rerank": {"rerank"},
        "builtin/moderate": {"moderate"},
    }
    assert all(model.price is FREE and model.origin == "builtin" for model in catalogue.models)
    for name in ("echo", "builtin/echo", "builtin:echo", "gpt-4o"):
        assert catalogue.resolve(name).deployments[0].id == "builtin/echo"
    await backend.aclose()


async def test_a_model_refuses_what_it_does_not_do() -> None:
    attempt = attempt_of("chat", {"messages": [{"role": "user", "content": "x"}]})
    attempt.operation = "embed"
    with pytest.raises(InvalidRequest) as raised:
        await Builtin().start(attempt)
    assert raised.value.param == "model"


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ({}, EchoOptions()),
        ({"first_byte_ms": 300, "per_token_ms": 0.5}, EchoOptions(first_byte_ms=300, per_token_ms=0.5)),
    ],
)
def test_options(section: dict[str, float], options: EchoOptions) -> None:
    assert msgspec.convert(section, EchoOptions) == options


@pytest.mark.parametrize("section", [{"per_token_ms": -1}, {"per_tokens_ms": 1}, {"first_byte_ms": "1"}])
def test_wrong_options_are_refused(section: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(section, EchoOptions)
