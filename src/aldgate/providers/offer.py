"""What a provider serves, as the catalogue is told of it."""

from __future__ import annotations

from collections.abc import Iterable

from aldgate.core.prices import Price
from aldgate.core.principals import Operation
from aldgate.core.routes import UNKNOWN, Deployment, Facts, Origin, Source
from aldgate.providers.prices import PriceBook


class Offer:
    """One provider's models.

    Args:
        name: What the catalogue calls the provider.
        models: The operator's list; None where the provider is to be asked.
        origin: Where it was configured.
        prices: Prices of its models.
    """

    def __init__(self, name: str, models: Iterable[str] | None, origin: Origin, prices: PriceBook) -> None:
        self.name = name
        self.models = None if models is None else tuple(models)
        self._origin: Origin = origin
        self._prices = prices

    def deployment(
        self,
        model: str,
        facts: Facts = UNKNOWN,
        operations: frozenset[Operation] | None = None,
        *,
        price: Price | None = None,
        also: tuple[str, ...] = (),
    ) -> Deployment:
        """A model with what the provider told of it. `price` is what it asks where no list knows one."""
        return Deployment(
            id=f"{self.name}/{model}",
            backend=self.name,
            model=model,
            price=self._prices.price(model) or price,
            origin=self._origin,
            operations=operations,
            facts=self._prices.facts(model, facts),
            also=also,
        )

    def source(self, deployments: Iterable[Deployment], *, accepts_any: bool) -> Source:
        """The provider with these deployments, each once. `accepts_any`: any other name is tried as `provider/name`."""
        once = tuple({deployment.id: deployment for deployment in deployments}.values())
        unlisted_price = self._prices.unlisted()
        return Source(self.name, once, self._origin, accepts_any=accepts_any, unlisted_price=unlisted_price)

    def unlisted(self) -> Source:
        """The operator's list, or any name while nobody has told one."""
        return self.source(map(self.deployment, self.models or ()), accepts_any=self.models is None)
