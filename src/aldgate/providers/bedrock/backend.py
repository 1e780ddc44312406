"""Amazon Bedrock: Converse, signed with AWS credentials or with a Bedrock API key.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from aldgate.config.errors import ConfigError
from aldgate.core.calls import Attempt
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment, Facts, Origin, Source
from aldgate.dialects.converse.dialect import Converse
from aldgate.ports import Exchange, UpstreamDialect
from aldgate.providers.bedrock.credentials import NoCredentials
from aldgate.providers.bedrock.door import Door
from aldgate.providers.bedrock.held import counted, typed
from aldgate.providers.bedrock.models import Listed, list_models
from aldgate.providers.bedrock.signature import Credentials
from aldgate.providers.offer import Offer
from aldgate.providers.prices import PriceBook
from aldgate.upstream.pool import Pool

_CONVERSE = Converse()


class Bedrock:
    """Implements `ports.Backend`; see there.

    Args:
        name: What the catalogue calls this provider.
        runtime: Where calls go.
        control: Where models are listed; None takes the operator's word only.
        models: The operator's list; None asks.
        origin: Where this provider was configured.
        prices: Prices of its models.
        renew: Reads credentials anew where they may have changed since; None where they cannot.
        lenders: Connections to whoever lends credentials.
    """

    operations: frozenset[Operation] = _CONVERSE.operations

    def __init__(
        self,
        name: str,
        *,
        runtime: Door,
        control: Door | None,
        models: tuple[str, ...] | None,
        origin: Origin,
        prices: PriceBook,
        renew: Callable[[], Credentials] | None,
        lenders: Sequence[Pool] = (),
    ) -> None:
        self.name = name
        self.dialects: Mapping[str, UpstreamDialect] = {_CONVERSE.name: _CONVERSE}
        self._doors = [door for door in (runtime, control) if door is not None]
        self.pools: Sequence[Pool] = [*(door.pool for door in self._doors), *lenders]
        self._runtime = runtime
        self._control = control
        self._offer = Offer(name, models, origin, prices)
        self._renew = renew

    async def start(self, attempt: Attempt) -> Exchange:
        """Send the attempt; see `ports.Backend`. What Bedrock says in headers alone is put into the body."""
        is_chat = attempt.operation == "chat"
        verb = "invoke" if not is_chat else "converse-stream" if attempt.stream else "converse"
        reply = await self._runtime.ask("POST", f"/model/{quote(attempt.deployment.model, safe='')}/{verb}", "", attempt.body)
        if reply.status == 200 and is_chat:
            return reply
        try:
            return await (counted(reply) if reply.status == 200 else typed(reply))
        finally:
            reply.close()

    async def discover(self) -> Source:
        """The operator's list of models, or what the control plane lists for the account; see `ports.Backend`."""
        self._renew_credentials()
        if self._offer.models is not None or self._control is None:
            return self.unlisted()
        return self._offer.source(map(self._deployment, await list_models(self._control)), accepts_any=True)

    def _renew_credentials(self) -> None:
        try:
            fresh = self._renew() if self._renew is not None else None
        except (ConfigError, NoCredentials):
            return  # the ones we have may still hold
        for door in self._doors:
            if door.signer is not None and fresh is not None:
                door.signer.credentials = fresh

    def unlisted(self) -> Source:
        """The provider while its list is not known: any name is taken as `provider/name`."""
        return self._offer.unlisted()

    def _deployment(self, model: Listed) -> Deployment:
        can = frozenset({"vision"}) if model.sees else frozenset[str]()
        cannot = frozenset({"vision"}) if model.sees is False else frozenset[str]()
        return self._offer.deployment(model.id, Facts(can=can, cannot=cannot), model.operations)

    async def aclose(self) -> None:
        """Close idle connections."""
        for pool in self.pools:
            await pool.aclose()
