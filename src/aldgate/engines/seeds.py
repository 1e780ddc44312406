"""The seed of a generation for which nobody gave one."""

from uuid import UUID

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation


def seed_of(asked: Generation, reference: str, *, most: int = 2**63 - 1) -> int:
    """The asked seed, or a random one: drawn from the attempt's UUID, so that whoever adopts the attempt knows it too.

    Raises:
        InvalidRequest: The engine takes no seed as large.
    """
    if asked.seed is None:
        return UUID(reference).int % (most + 1)
    if not 0 <= asked.seed <= most:
        raise InvalidRequest(f"`seed` must be from 0 to {most} here.", param="seed")
    return asked.seed
