"""Lists of models as OpenAI's `/v1/models` gives them."""

import msgspec

from aldgate.core.errors import UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import EngineModel, EngineState, Generation
from aldgate.core.levels import Operation
from aldgate.engines.http import EngineHttp
from aldgate.engines.section import EngineSection

_NO_SUCH_PATH = (404, 405)


class _Listed(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Listed]


async def listed_models(http: EngineHttp) -> tuple[str, ...]:
    """The names of an engine's models; none where it has no such list.

    Raises:
        UpstreamError: It is away, failed, or is something else.
    """
    try:
        said = await http.json("GET", "/v1/models")
    except UpstreamRejected as error:
        if error.upstream_status in _NO_SUCH_PATH:
            return ()
        raise
    try:
        return tuple(model.id for model in msgspec.convert(said, _Models).data)
    except msgspec.ValidationError as error:
        raise UpstreamInvalid(f"The engine `{http.name}` answered with what is no list of models: {error}") from None


async def listed_state(http: EngineHttp, section: EngineSection, operations: frozenset[Operation]) -> EngineState:
    """What there is to say of an engine that tells nothing but its models: those of its table, or else its own list.

    Raises:
        UpstreamError: See `listed_models`.
    """
    listed = await listed_models(http)
    names = listed if section.models is None else section.models
    return EngineState(models=tuple(EngineModel(name=name, operations=operations) for name in names))


async def model_of(asked: Generation, http: EngineHttp, section: EngineSection) -> str | None:
    """The model that was asked for, or else the first; None: the engine has no list, and is to take its own.

    Raises:
        UpstreamError: See `listed_models`.
    """
    if asked.model:
        return asked.model
    return next(iter(await listed_models(http) if section.models is None else section.models), None)
