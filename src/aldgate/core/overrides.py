"""What the operator says of models beats what providers and catalogues say."""

from collections.abc import Mapping

import msgspec

from aldgate.core.prices import Price
from aldgate.core.routes import Deployment, Facts, Source


class Said(msgspec.Struct, frozen=True):
    """What the operator says, by `provider/model` or, of every provider that has it, by `model`."""

    prices: Mapping[str, Price] = {}
    facts: Mapping[str, Facts] = {}


def overridden(source: Source, said: Said) -> Source:
    """`source` with the operator's word in place of the provider's.

    Where any name may be asked for, a model that the operator speaks of by its full name is known, though not listed.
    """
    deployments = tuple(_overridden(deployment, said) for deployment in source.deployments)
    known: tuple[Deployment, ...] = ()
    if source.accepts_any:
        listed = {deployment.id for deployment in deployments}
        names = [name for name in {**said.prices, **said.facts} if name.startswith(f"{source.name}/") and name not in listed]
        known = tuple(_overridden(source.deployment(name.partition("/")[2]), said) for name in names)
    return msgspec.structs.replace(source, deployments=deployments, known=known)


def _overridden(deployment: Deployment, said: Said) -> Deployment:
    price = said.prices.get(deployment.id) or said.prices.get(deployment.model)
    facts = said.facts.get(deployment.id) or said.facts.get(deployment.model)
    if price is None and facts is None:
        return deployment
    return msgspec.structs.replace(
        deployment,
        price=deployment.price if price is None else price,
        facts=deployment.facts if facts is None else facts.over(deployment.facts),
    )
