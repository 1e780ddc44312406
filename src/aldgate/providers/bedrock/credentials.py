"""Where AWS credentials and regions stand: a table's own references, the environment, the shared files.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html; names and file formats are AWS's.
"""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ParserError
from pathlib import Path

from aldgate.providers.bedrock.signature import Credentials


class NoCredentials(LookupError):
    """None were found; the message says where was looked."""


def from_environment(environment: Mapping[str, str]) -> Credentials | None:
    """`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, for lent ones, `AWS_SESSION_TOKEN`."""
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID", ""), environment.get("AWS_SECRET_ACCESS_KEY", "")
    if not key_id or not secret:
        return None
    return Credentials(key_id, secret, environment.get("AWS_SESSION_TOKEN", ""))


def from_profile(environment: Mapping[str, str], profile: str) -> Credentials:
    """The profile's in the shared credentials file, else in the shared configuration.

    Raises:
        NoCredentials: There are none, or they are only a reference to something else (SSO, a role, a process).
    """
    file = _file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
    for section in (_section(file, profile), settings_of(environment, profile)):
        key_id, secret = section.get("aws_access_key_id", ""), section.get("aws_secret_access_key", "")
        if key_id and secret:
            return Credentials(key_id, secret, section.get("aws_session_token", ""))
    raise NoCredentials(f"the profile `{profile}` has no access key and secret in {file or '~/.aws/credentials'}")


def find_region(environment: Mapping[str, str], profile: str) -> str:
    """`AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's in the shared configuration; empty if none says."""
    said = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if said:
        return said
    return settings_of(environment, profile).get("region", "")


def settings_of(environment: Mapping[str, str], profile: str) -> Mapping[str, str]:
    """What the shared configuration says of a profile, and above it the shared credentials file."""
    config = _section(_file(environment, "AWS_CONFIG_FILE", "config"), profile if profile == "default" else f"profile {profile}")
    return {**config, **_section(_file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), profile)}


def session_of(environment: Mapping[str, str], session: str) -> Mapping[str, str]:
    """What it says of a session of IAM Identity Center."""
    return _section(_file(environment, "AWS_CONFIG_FILE", "config"), f"sso-session {session}")


def home_of(environment: Mapping[str, str]) -> Path | None:
    """The home directory, where `.aws` is."""
    home = environment.get("HOME") or environment.get("USERPROFILE")
    return Path(home) if home else None


def profile_name(environment: Mapping[str, str]) -> str:
    """`AWS_PROFILE`, else `default`."""
    return environment.get("AWS_PROFILE") or "default"


def _file(environment: Mapping[str, str], name: str, usual: str) -> Path | None:
    if said := environment.get(name):
        return Path(said)
    home = home_of(environment)
    return home / ".aws" / usual if home else None


def _section(file: Path | None, name: str) -> Mapping[str, str]:
    parser = ConfigParser(interpolation=None, default_section="", strict=False)
    try:
        if file is not None:
            parser.read_string(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ParserError):
        return {}
    return dict(parser[name]) if parser.has_section(name) else {}
