"""What a model is for where its provider's list does not say, as with models that an operator lists: its name tells.

For lists that people and clients read. Admission does not go by it: there, what nobody said is tried.
"""

import re

from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment

_NAMED: tuple[tuple[re.Pattern[str], Operation], ...] = (
    (re.compile(r"rerank", re.IGNORECASE), "rerank"),
    (re.compile(r"embed|(?:^|[/:_-])(?:bge|gte|e5|minilm|all-minilm)(?:[-_.:]|$)", re.IGNORECASE), "embed"),
    (re.compile(r"moderation", re.IGNORECASE), "moderate"),
)


def told_operations(deployment: Deployment) -> frozenset[Operation] | None:
    """What its provider says that it can, else what its name says that it is for, else None."""
    if deployment.operations is not None:
        return deployment.operations
    return next((frozenset({operation}) for name, operation in _NAMED if name.search(deployment.model)), None)
