"""The `builtin` backend: what answers on a bare CPU, always the same to the same request, and never pretends to be a model."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from aldgate.core.calls import Attempt
from aldgate.core.errors import InvalidRequest
from aldgate.core.prices import FREE
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment, Source
from aldgate.dialects.openai.dialect import OpenAI
from aldgate.dialects.rerank.dialect import JINA
from aldgate.engines.builtin.echo import Echo, EchoOptions
from aldgate.engines.builtin.embed import Embed, EmbedOptions
from aldgate.engines.builtin.moderate import Moderate, ModerateOptions
from aldgate.engines.builtin.reply import Reply
from aldgate.engines.builtin.rerank import Rerank, RerankOptions
from aldgate.ports import UpstreamDialect

_OPERATIONS: dict[str, frozenset[Operation]] = {
    "echo": frozenset({"chat", "complete"}),
    "embed": frozenset({"embed"}),
    "rerank": frozenset({"rerank"}),
    "moderate": frozenset({"moderate"}),
}


class Paces(Struct, frozen=True):
    """How fast each engine is."""

    echo: EchoOptions = EchoOptions()
    embed: EmbedOptions = EmbedOptions()
    rerank: RerankOptions = RerankOptions()
    moderate: ModerateOptions = ModerateOptions()


class Builtin:
    """`builtin/echo`, `builtin/embed`, `builtin/rerank` and `builtin/moderate`.

    Args:
        paces: Options of each.
    """

    name: str = "builtin"
    operations: frozenset[Operation] = frozenset({"chat", "complete", "embed", "rerank", "moderate"})
    dialects: Mapping[str, UpstreamDialect] = MappingProxyType({"openai": OpenAI("max_completion_tokens"), "jina": JINA})

    def __init__(self, paces: Paces = Paces()) -> None:
        self._engines = {
            "echo": Echo(paces.echo),
            "embed": Embed(paces.embed),
            "rerank": Rerank(paces.rerank),
            "moderate": Moderate(paces.moderate),
        }

    async def start(self, attempt: Attempt) -> Reply:
        """Run the attempt here and now.

        Raises:
            InvalidRequest: The body is not what the operation takes, or the model does not do it.
        """
        model = attempt.deployment.model
        if attempt.operation not in _OPERATIONS[model]:
            raise InvalidRequest(f"`builtin/{model}` does not do `{attempt.operation}`.", param="model")
        return await self._engines[model].start(attempt)

    async def discover(self) -> Source:
        """Name the models; nothing has to be asked."""
        deployments = tuple(
            Deployment(f"{self.name}/{model}", self.name, model, FREE, "builtin", operations)
            for model, operations in _OPERATIONS.items()
        )
        return Source(self.name, deployments, "builtin")

    async def aclose(self) -> None:
        """There is nothing to close."""
