"""Where the AWS credentials of a Bedrock provider are: AWS's own chain, in AWS's own order.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html#credentialProviderChain; what a profile may say:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.secret import resolve_reference
from aldgate.providers.bedrock import beside
from aldgate.providers.bedrock.credentials import (
    NoCredentials,
    from_environment,
    from_profile,
    home_of,
    profile_name,
    session_of,
    settings_of,
)
from aldgate.providers.bedrock.lent import Borrowed, Lender, Standing
from aldgate.providers.bedrock.process import Process
from aldgate.providers.bedrock.signature import Credentials
from aldgate.providers.bedrock.sso import SingleSignOn, login_file
from aldgate.providers.bedrock.sts import AssumedRole, Role, WebIdentity
from aldgate.providers.bedrock.table import BedrockSection
from aldgate.providers.section import Surroundings, address_of, pool_of
from aldgate.upstream.pool import Pool


class Found(msgspec.Struct, frozen=True):
    """Credentials: some to sign with at once, which are read anew by `reread`, or `borrowed` ones, which are not there yet."""

    first: Credentials
    reread: Callable[[], Credentials] | None = None
    borrowed: Borrowed | None = None


def find(name: str, section: BedrockSection, region: str, surroundings: Surroundings) -> Found:
    """The credentials for a table.

    In this order: its own, its profile's, the environment's, a cluster's token's, the usual profile's, the container's, and at
    last the instance's, if it may have them, of which nothing is known before they are asked for. The table's role is assumed
    with them.

    Raises:
        ConfigError: They are named and not there, or not usable.
    """
    search = _Search(name, section, region, surroundings)
    try:
        base = search.base()
        first = base.load() if isinstance(base, Standing) else Credentials("", "")
    except ConfigError as error:
        raise ConfigError(f"[providers.{name}]: {error.message.removeprefix(f'[providers.{name}]: ')}", hint=error.hint) from None
    except NoCredentials as error:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `profile`, `instance_role = true` or an `api_key`"
        raise ConfigError(f"[providers.{name}]: no AWS credentials: {error}", hint=hint) from None
    if section.role_arn:
        role = Role(section.role_arn, section.role_session_name, section.external_id)
        return Found(first, borrowed=search.assumed(role, base))
    return Found(first, borrowed=base) if isinstance(base, Borrowed) else Found(first, reread=base.load)


class _Search:
    def __init__(self, name: str, section: BedrockSection, region: str, surroundings: Surroundings) -> None:
        self._name = name
        self._section = section
        self._region = region
        self._surroundings = surroundings
        self._environment = surroundings.environment

    def base(self) -> Standing | Borrowed:
        """The credentials before any role of the table's. Standing ones may turn out not to be there."""
        section, environment = self._section, self._environment
        if section.access_key_id:
            return Standing(self._own)
        if section.profile:
            return self._profile(section.profile) or self._standing(section.profile)
        if from_environment(environment) is not None:
            return Standing(self._of_environment)
        if (token := environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")) and (arn := environment.get("AWS_ROLE_ARN")):
            role = Role(arn, environment.get("AWS_ROLE_SESSION_NAME") or "aldgate")
            return Borrowed(WebIdentity(self._sts(), Path(token), role))
        usual = profile_name(environment)
        found = self._profile(usual)
        if found is None and not environment.get("AWS_PROFILE"):
            found = self._beside()
        return found or self._standing(usual)

    def assumed(self, role: Role, base: Standing | Borrowed) -> Borrowed:
        """A role that is assumed with `base`."""
        return Borrowed(AssumedRole(self._sts(), self._region, role, base))

    def _own(self) -> Credentials:
        def secret(reference: str) -> str:
            return resolve_reference(reference, self._environment) if reference else ""

        section = self._section
        return _signing(Credentials(section.access_key_id, secret(section.secret_access_key), secret(section.session_token)))

    def _of_environment(self) -> Credentials:
        found = from_environment(self._environment)
        if found is None:
            raise NoCredentials("the environment has no access key and secret")
        return _signing(found)

    def _standing(self, profile: str) -> Standing:
        return Standing(lambda: _signing(from_profile(self._environment, profile)))

    def _profile(self, profile: str, trail: tuple[str, ...] = ()) -> Standing | Borrowed | None:
        """What a profile leads to; None if it says nothing. `trail`: the profiles that led to it."""
        said = settings_of(self._environment, profile)
        if said.get("role_arn") and profile not in trail[-1:]:
            return self._role_of(profile, said, trail)
        if said.get("sso_account_id") and said.get("sso_role_name") and (home := home_of(self._environment)) is not None:
            return Borrowed(self._sign_on(said, home))
        standing = self._standing(profile)
        try:
            standing.load()
        except NoCredentials:
            return Borrowed(Process(command)) if (command := said.get("credential_process")) else None
        return standing

    def _role_of(self, profile: str, said: Mapping[str, str], trail: tuple[str, ...]) -> Borrowed:
        session = said.get("role_session_name") or "aldgate"
        role = Role(said["role_arn"], session, said.get("external_id", ""), said.get("duration_seconds", ""))
        if token := said.get("web_identity_token_file"):
            return Borrowed(WebIdentity(self._sts(), Path(token), role))
        if profile in trail:
            raise ConfigError(f"the profile `{profile}` assumes its role with itself", hint="look at `source_profile`")
        if said.get("mfa_serial"):
            raise ConfigError(f"the profile `{profile}` wants a code that a person types", hint="use a profile without MFA")
        source, lender = said.get("source_profile"), said.get("credential_source")
        base = self._profile(source, (*trail, profile)) if source else self._credential_source(lender)
        if base is None:
            where = f"`{source or lender}` has no credentials" if source or lender else "nothing says with whose credentials"
            hint = "write `source_profile` or `credential_source`"
            raise ConfigError(f"the profile `{profile}` has a role, and {where}", hint=hint)
        return self.assumed(role, base)

    def _credential_source(self, kind: str | None) -> Standing | Borrowed | None:
        lender: Lender | None = None
        match kind:
            case "Environment":
                return Standing(self._of_environment)
            case "EcsContainer":
                lender = beside.container(self._name, self._surroundings)
            case "Ec2InstanceMetadata":
                lender = beside.instance(self._name, self._surroundings)
            case _:
                pass
        return lender and Borrowed(lender)

    def _beside(self) -> Borrowed | None:
        lender: Lender | None = beside.container(self._name, self._surroundings)
        if lender is None and self._section.instance_role:
            lender = beside.instance(self._name, self._surroundings)
        return lender and Borrowed(lender)

    def _sign_on(self, said: Mapping[str, str], home: Path) -> SingleSignOn:
        session = said.get("sso_session", "")
        where = {**said, **session_of(self._environment, session)} if session else said
        portal = self._pool("SSO", f"https://portal.sso.{where.get('sso_region') or self._region}.amazonaws.com")
        login = login_file(home, session or said.get("sso_start_url", ""))
        return SingleSignOn(portal, login, account=said["sso_account_id"], role=said["sso_role_name"])

    def _sts(self) -> Pool:
        return self._pool("STS", f"https://sts.{self._region}.amazonaws.com")

    def _pool(self, service: str, usual: str) -> Pool:
        address, _ = address_of(self._name, self._environment.get(f"AWS_ENDPOINT_URL_{service}") or usual)
        return pool_of(self._name, address, self._section, self._surroundings)


def _signing(found: Credentials) -> Credentials:
    """Credentials that can sign.

    Raises:
        ConfigError: They cannot.
    """
    if not found.secret_access_key or not all(part.isascii() and part.isprintable() for part in msgspec.structs.astuple(found)):
        raise ConfigError("the AWS credentials are not usable", hint="look at their source")
    return found
