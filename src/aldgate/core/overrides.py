"""What the operator says of models beats what providers and catalogues say."""

from collections.abc import Mapping

import msgspec

from aldgate.core.prices import Price
from aldgate.core.routes import Deployment, Source


class Said(msgspec.Struct, frozen=True):
    """What the operator says, by `provider/model` or, of every provider that has it, by `model`."""

    prices: Mapping[str, Price] = {}


def overridden(source: Source, said: Said) -> Source:
    """`source` with the operator's word in place of the provider's.

    Where any name may be asked for, a model that the operator speaks of by its full name is known, though not listed.
    """
    deployments = tuple(_overridden(deployment, said) for deployment in source.deployments)
    known: tuple[Deployment, ...] = ()
    if source.accepts_any:
        listed = {deployment.id for deployment in deployments}
        spoken_of = (name for name in dict.fromkeys(said.prices) if name.startswith(f"{source.name}/") and name not in listed)
        known = tuple(_overridden(source.deployment(name.partition("/")[2]), said) for name in spoken_of)
    return msgspec.structs.replace(source, deployments=deployments, known=known)


def _overridden(deployment: Deployment, said: Said) -> Deployment:
    price = said.prices.get(deployment.id) or said.prices.get(deployment.model)
    return deployment if price is None else msgspec.structs.replace(deployment, price=price)
