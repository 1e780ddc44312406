"""Whom a request means by `engine` and `model`, and whether who was named is there.

Who is not named is the first configured engine that can, else what is built in. Who is named is that one or nobody.
"""

from __future__ import annotations

import asyncio

from aldgate.core.errors import InvalidRequest, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from aldgate.core.levels import Operation
from aldgate.engines.kinds import ENGINES
from aldgate.engines.started import Started
from aldgate.jobs.making import Jobs
from aldgate.making import Engine

PATIENCE_S = 5.0
"""For a named engine to say that it is there."""


def named(jobs: Jobs, operation: Operation, engine: str, model: str) -> str:
    """The name of the model for `Jobs.begin`; empty: nobody is named.

    Raises:
        UpstreamUnreachable: The engine that is named is a known one, and not configured here.
        InvalidRequest: No engine is called so, or it makes something else.
        ModelNotFound: No engine can.
    """
    if engine:
        found = engine_called(jobs, operation, engine)
        own = model.removeprefix(f"{found.name}/").removeprefix(f"{found.name}:")
        return f"{found.name}/{own}" if own else found.name
    if not model or jobs.is_known(model):
        return model
    first, _ = jobs.engine_for(operation, "")
    return f"{first.name}/{model}"


def engine_called(jobs: Jobs, operation: Operation, name: str) -> Engine:
    """The engine of this name or, where none has it, the first of this kind: `stable_audio` is `stable-audio`, too.

    Raises:
        UpstreamUnreachable: It is a known kind, and none such is configured here.
        InvalidRequest: No engine is called so, or it makes something else.
    """
    engines = jobs.engines
    spelt = name.strip().lower().replace("_", "-")
    of_kind = (each for each in engines.values() if each.kind == spelt)
    found = engines.get(name) or engines.get(spelt) or next(of_kind, None)
    if found is None and spelt in ENGINES:
        raise UpstreamUnreachable(f"The engine `{spelt}` is not configured here: it needs a table `[engines.{spelt}]`.")
    if found is None:
        known = ", ".join(f"`{each.name}`" for each in engines.values() if operation in each.operations) or "none"
        raise InvalidRequest(f"No engine is called `{name[:100]}`; for {operation} there is {known}.", param="engine")
    if operation not in found.operations:
        can = ", ".join(sorted(found.operations)) or "nothing"
        raise InvalidRequest(f"`{found.name}` does not make `{operation}`; it makes {can}.", param="engine")
    return found


async def check_there(engine: Engine) -> None:
    """See that an engine answers. One whose process the gate starts when it is needed is there.

    Raises:
        UpstreamError: It does not.
    """
    if isinstance(engine, Started) and engine.process.pid is None:
        return
    try:
        async with asyncio.timeout(PATIENCE_S):
            await engine.state()
    except TimeoutError:
        raise UpstreamTimeout(f"The engine `{engine.name}` is not responding.") from None
    except UpstreamError as error:
        raise UpstreamUnreachable(f"The engine `{engine.name}` is not responding: {error.message}") from error
