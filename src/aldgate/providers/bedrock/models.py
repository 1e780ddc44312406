"""Which models an account may call, as Bedrock's control plane lists them.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html and API_ListInferenceProfiles.html
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from aldgate.core.errors import UpstreamInvalid
from aldgate.core.principals import Operation
from aldgate.dialects.converse.errors import read_error
from aldgate.providers.bedrock.door import Door
from aldgate.providers.bedrock.held import typed

_OPERATIONS: dict[str, Operation] = {"TEXT": "chat", "EMBEDDING": "embed"}


class Listed(msgspec.Struct, frozen=True):
    """A model that can be called under `id`. `operations` and `sees` are None where the list did not say."""

    id: str
    operations: frozenset[Operation] | None
    sees: bool | None


class _Model(msgspec.Struct):
    modelId: str
    inputModalities: list[str] = []
    outputModalities: list[str] = []
    inferenceTypesSupported: list[str] = []


class _Models(msgspec.Struct):
    modelSummaries: list[_Model]


class _ProfiledModel(msgspec.Struct):
    modelArn: str = ""


class _Profile(msgspec.Struct):
    inferenceProfileId: str
    status: str = "ACTIVE"
    models: list[_ProfiledModel] = []


class _Profiles(msgspec.Struct):
    inferenceProfileSummaries: list[_Profile]


async def list_models(door: Door) -> list[Listed]:
    """The models that take calls without further arrangements, and the inference profiles in front of the others.

    Raises:
        UpstreamError: No answer, an error, or not such lists.
    """
    models = (await _list(door, "/foundation-models", "", _Models)).modelSummaries
    profiles = (await _list(door, "/inference-profiles", "maxResults=1000", _Profiles)).inferenceProfileSummaries
    known = {model.modelId: model for model in models}
    found = {model.modelId: _listed(model.modelId, model) for model in models if "ON_DEMAND" in model.inferenceTypesSupported}
    for profile in profiles:
        if profile.status == "ACTIVE":
            arn = profile.models[0].modelArn if profile.models else ""
            found[profile.inferenceProfileId] = _listed(profile.inferenceProfileId, known.get(arn.rpartition("/")[2]))
    return [each for each in found.values() if each.operations is None or each.operations]


def _listed(name: str, model: _Model | None) -> Listed:
    if model is None:
        return Listed(name, None, None)
    operations: frozenset[Operation] = frozenset(_OPERATIONS[each] for each in model.outputModalities if each in _OPERATIONS)
    return Listed(name, operations, "IMAGE" in model.inputModalities)


K = TypeVar("K", _Models, _Profiles)


async def _list(door: Door, path: str, query: str, kind: type[K]) -> K:
    reply = await door.ask("GET", path, query, b"")
    try:
        if reply.status != 200:
            held = await typed(reply)
            raise read_error(reply.status, await held.read(), None)
        return msgspec.json.decode(await reply.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid(f"What Bedrock answers to GET {path} is no list.") from None
    finally:
        reply.close()
