"""Whether a principal's policies let a call through, beyond its scopes: model, provider, length."""

from __future__ import annotations

from aldgate.core.calls import Call
from aldgate.core.errors import PolicyDenied, ScopeDenied
from aldgate.core.levels import Level
from aldgate.core.policies import matches
from aldgate.core.principals import Principal
from aldgate.core.rights import Rights
from aldgate.core.routes import Catalogue, Deployment, Route

_MOST_REMEMBERED = 1_000


def no_scope(call: Call) -> ScopeDenied:
    """The refusal of an operation that is none of the caller's scopes."""
    principal = call.principal
    scopes = principal.rights.scopes
    if scopes:
        return ScopeDenied(f"This API key may not {call.operation}; its scopes are {', '.join(sorted(scopes))}.")
    own = principal.levels[-1]
    if principal.kind == "user" and own.policy.scopes == scopes:
        return ScopeDenied("Somebody else chose your password: change it first, at `/v1/users/change-password`.")
    return ScopeDenied(f"Nothing is allowed to {own}: the policies that hold for it have no scope in common.")


def check_name(call: Call) -> None:
    """Refuse a provider that the caller may not use before anybody says whether there is such a one.

    Raises:
        PolicyDenied: A level does not let this provider answer.
    """
    if call.peek.model not in call.catalogue.routes:
        check_unknown(call.principal.rights, call.peek.model)


def check_unknown(rights: Rights, name: str) -> None:
    """`check_name` for a name that is no route's.

    Raises:
        PolicyDenied: As there.
    """
    cut = min((at for at in (name.find(":"), name.find("/")) if at > 0), default=0)
    level = rights.against_name(name, name[:cut])
    if level is not None:
        raise _denied(name, level)


def check_path(principal: Principal, path: str) -> None:
    """See that every level of the principal takes requests at this path, wherever from.

    Raises:
        PolicyDenied: One does not.
    """
    for level in principal.levels:
        endpoints = level.policy.endpoints
        if endpoints is not None and not matches(path, endpoints):
            raise PolicyDenied(f"The policy of {level} takes no requests at `{path[:200]}`.")


def shown(rights: Rights, name: str, deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Those of `deployments` that may answer to `name`; none: the model is not to be listed."""
    if not rights.tells_names:
        return deployments
    return tuple(each for each in deployments if rights.against_model((name,), each) is None)


def check_shown(rights: Rights, name: str, route: Route, deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """As `shown`, of a model that was asked for by `name`.

    Raises:
        PolicyDenied: None of them may answer.
    """
    denying: Level | None = None
    able: list[Deployment] = []
    for deployment in deployments:
        level = rights.against_model((name, route.name), deployment) if rights.tells_names else None
        denying = denying or level
        if level is None:
            able.append(deployment)
    if denying is not None and not able:
        raise _denied(name, denying)
    return tuple(able)


def resolved(catalogue: Catalogue, rights: Rights, name: str) -> Deployment:
    """Who would answer first to `name`, of what these rights let call: for questions about a model that are no calls.

    Raises:
        PolicyDenied: Nobody may.
        ModelNotFound: There is no such model.
    """
    if rights.tells_names and name not in catalogue.routes:
        check_unknown(rights, name)
    route = catalogue.resolve(name, tells_near=not rights.tells_names)
    return check_shown(rights, name, route, route.deployments)[0]


def permitted(call: Call, route: Route, able: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Those of `able` that every level lets answer.

    Raises:
        PolicyDenied: None of them.
    """
    rights = call.principal.rights
    key = call.peek.model, call.operation
    known = rights.memo.get(key)
    if known is not None and known[0] is call.catalogue:
        return known[1]
    names = (call.peek.model, route.name)
    level: Level | None = None
    found: list[Deployment] = []
    for deployment in able:
        denying = rights.against_model(names, deployment)
        if denying is None:
            found.append(deployment)
        level = level or denying
    if not found:
        assert level is not None
        raise _denied(call.peek.model or route.name, level)
    if len(rights.memo) >= _MOST_REMEMBERED:
        rights.memo.clear()
    rights.memo[key] = call.catalogue, tuple(found)
    return tuple(found)


def too_long(call: Call) -> PolicyDenied | None:
    """The refusal of a request that is longer than a level allows; four bytes are taken for a token."""
    rights = call.principal.rights
    most = rights.max_input_tokens
    found = -(-len(call.peek.body) // 4)
    if most is None or found <= most:
        return None
    level = rights.says("max_input_tokens", most)
    return PolicyDenied(f"The request has about {found} tokens, and the policy of {level} allows {most}.")


def _denied(name: str, level: Level) -> PolicyDenied:
    return PolicyDenied(f"The policy of {level} does not allow `{name[:100]}`.", param="model")
