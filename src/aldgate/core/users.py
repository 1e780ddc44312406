"""Users: people with an account, how they log in, and the credentials of their own that they brought."""

import re

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.core.levels import Role

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1_024
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,199}")
_EMAIL = re.compile(r"[^@\s|]{1,100}@[^@\s|]{1,100}")


class StoredUser(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a person beside the account. Times in Unix seconds.

    Attributes:
        id: The account's.
        email: Logs in as the name does; lower case.
        password: Its argon2id hash; None: whoever vouches for this person is elsewhere, or nobody does.
        must_change: The password was chosen by somebody else, and opens nothing but the way to a new one.
        preferences: JSON object; the gate only keeps it.
    """

    id: str
    email: str | None = None
    display_name: str | None = None
    password: str | None = None
    role: Role = "member"
    must_change: bool = False
    preferred_model: str | None = None
    preferences: bytes = b"{}"
    last_login_at: float | None = None


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has logged in: known by the digest of a token. Times in Unix seconds."""

    digest: bytes
    user: str
    created_at: float
    seen_at: float
    expires_at: float


class StoredInvite(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to make one user. Times in Unix seconds.

    Attributes:
        parent: The account that the user will be under.
        email: Nobody else may use it; None: whoever has it.
    """

    digest: bytes
    role: Role
    parent: str | None = None
    email: str | None = None
    made_by: str
    expires_at: float


class StoredOwnCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential of a user's at a provider, sealed.

    Attributes:
        id: New with each that is saved.
        hint: Its last characters, for people to recognise it by.
    """

    id: str
    user: str
    provider: str
    sealed: bytes
    hint: str
    created_at: float


def login_name(text: str) -> str:
    """A name to log in by: lower case.

    Raises:
        InvalidRequest: It is none.
    """
    name = text.strip().lower()
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest("A name is 1 to 200 of `a-z 0-9 . _ @ + -` and begins with a letter or digit.", param="username")
    return name


def email_address(text: str) -> str:
    """An address of mail: lower case.

    Raises:
        InvalidRequest: It is none.
    """
    email = text.strip().lower()
    if _EMAIL.fullmatch(email) is None or not email.isprintable():
        raise InvalidRequest("This is no email address.", param="email")
    return email


def check_password(password: str, *names: str | None) -> None:
    """See that a new password is one.

    Raises:
        InvalidRequest: It is too short, too long, one of `names`, or a few characters again and again.
    """
    if not SHORTEST_PASSWORD <= len(password.encode("utf-8", "surrogatepass")) <= LONGEST_PASSWORD:
        raise InvalidRequest(f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} bytes.", param="password")
    if "\0" in password or not password.isprintable():
        raise InvalidRequest("A password has no control characters.", param="password")
    if len(set(password)) < 4 or password.lower() in {name for name in names if name}:
        raise InvalidRequest("This password is too easily guessed.", param="password")
