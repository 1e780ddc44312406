"""What a token says of its bearer, read the way its issuer writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from aldgate.core.levels import Role

Payload = Mapping[str, Any]

LONGEST_TEXT = 255
_SPACED = frozenset({"scope", "scp"})
"""Claims whose text is a list of words (RFC 8693, 4.2; Microsoft's `scp`). Any other text is one value, spaces and all."""


class ClaimNames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where an issuer's tokens say what. `a.b` is `b` within `a`, unless a claim has that very name; empty is nowhere."""

    subject: str = "sub"
    """Who: stable, and never given to another."""
    email: str = "email"
    """The address of mail."""
    email_verified: str = "email_verified"
    """Whether the issuer has seen that the address is theirs; without it, it counts as unseen."""
    name: str = "name"
    """What people are called by."""
    roles: str = "roles"
    """Groups or roles, one text or several; `[auth.issuers.NAME.roles]` says what they mean here."""
    client: str = "client_id"
    """The application that calls (RFC 9068); `azp` at Keycloak and Google, `appid` at Microsoft, `cid` at Okta."""
    team: str = "team"
    """The team, or groups of which `[auth.issuers.NAME.teams]` names it."""
    organisation: str = "organisation"
    """The organisation."""


class ClaimMapping(msgspec.Struct, frozen=True):
    """How an issuer's claims become ours.

    Attributes:
        names: Where they stand.
        roles: Its word for a role -> ours.
        teams: Its word for a team -> ours, the first one first; empty takes its word.
        default_role: Whoever has no role by these claims has this one; None leaves them without.
    """

    names: ClaimNames = ClaimNames()
    roles: Mapping[str, Role] = {}
    teams: Mapping[str, str] = {}
    default_role: Role | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a verified token speaks for. Texts are empty where it says nothing.

    Attributes:
        issuer: Its URL; with `subject` the one thing to know somebody by.
        issuer_name: What the configuration calls it.
        is_email_verified: The issuer says so. No account may be found by an address that is not.
        roles: None at all lets its bearer do nothing as a user.
        client: The application that calls, by the issuer's name for it.
        expires_at: Unix seconds.
    """

    issuer: str
    issuer_name: str
    subject: str
    expires_at: float
    email: str = ""
    is_email_verified: bool = False
    name: str = ""
    roles: frozenset[Role] = frozenset()
    client: str = ""
    team: str = ""
    organisation: str = ""


def claim(payload: Payload, name: str) -> Any:
    """The claim called `name`, else what its dots lead to; None if there is nothing, or no name."""
    if not name:
        return None
    if name in payload:
        return payload[name]
    found: Any = payload
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = cast(Payload, found)[part]
    return found


def texts(payload: Payload, name: str) -> tuple[str, ...]:
    """The texts of a claim that may have one or several. What is no short, visible text is left out."""
    found = claim(payload, name)
    if isinstance(found, str):
        found = found.split() if name.rpartition(".")[2] in _SPACED else [found]
    if not isinstance(found, list):
        return ()
    return tuple(each for each in cast(list[Any], found) if _is_text(each))


def text(payload: Payload, name: str) -> str:
    """The one text of a claim; empty if it has none, several or something else."""
    found = texts(payload, name)
    return found[0] if len(found) == 1 else ""


def lacking(payload: Payload, required: Mapping[str, Any]) -> str | None:
    """The first claim that is not as required: equal, one of those accepted, or a list that holds one of them."""
    for name, wanted in required.items():
        accepted = cast(list[Any], wanted) if isinstance(wanted, list) else [wanted]
        found = claim(payload, name)
        has = cast(list[Any], found) if isinstance(found, list) else [found]
        if not any(_is_same(one, other) for one in has for other in accepted):
            return name
    return None


def read_claims(payload: Payload, mapping: ClaimMapping, *, issuer: str, issuer_name: str, expires_at: float) -> Claims | None:
    """The claims of a verified token; None if it does not say whom it speaks for."""
    names = mapping.names
    subject = text(payload, names.subject)
    if not subject:
        return None
    email = text(payload, names.email)
    return Claims(
        issuer=issuer,
        issuer_name=issuer_name,
        subject=subject,
        expires_at=expires_at,
        email=email,
        is_email_verified=bool(email) and _is_true(claim(payload, names.email_verified)),
        name=text(payload, names.name),
        roles=_roles(texts(payload, names.roles), mapping),
        client=text(payload, names.client),
        team=_team(payload, mapping),
        organisation=text(payload, names.organisation),
    )


def _roles(said: tuple[str, ...], mapping: ClaimMapping) -> frozenset[Role]:
    default: tuple[Role, ...] = () if mapping.default_role is None else (mapping.default_role,)
    return frozenset(mapping.roles[word] for word in said if word in mapping.roles) or frozenset(default)


def _team(payload: Payload, mapping: ClaimMapping) -> str:
    if not mapping.teams:
        return text(payload, mapping.names.team)
    said = texts(payload, mapping.names.team)
    return next((ours for theirs, ours in mapping.teams.items() if theirs in said), "")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.isprintable() and value == value.strip()


def _is_true(value: Any) -> bool:
    return value is True or value == "true"  # Amazon Cognito says it in words


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other  # in Python 1 is True
