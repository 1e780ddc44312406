"""Who lends AWS credentials, over the wires as AWS documents them, and which of them is asked."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.core.errors import UpstreamAuth
from aldgate.providers.bedrock.backend import Bedrock
from aldgate.testing.upstream import FakeUpstream, Step, aws, wire
from tests.providers.bedrock.test_backend import attempt, build

pytestmark = pytest.mark.anyio

ARN = "arn:aws:iam::123456789012:role/gate"


async def signed_with(provider: Bedrock, upstream: FakeUpstream) -> tuple[str, str | None]:
    reply = await provider.start(attempt(provider))
    await reply.read()
    seen = upstream.requests[-1]
    return (seen.header("authorization") or "").partition("Credential=")[2].partition("/")[0], seen.header("x-amz-security-token")


class Lending:
    """A lender and Bedrock, each a fake of its own, and a table between them."""

    def __init__(self, lender: FakeUpstream, bedrock: FakeUpstream) -> None:
        self.lender = lender
        self.bedrock = bedrock
        self.origin = lender.url.removesuffix("/v1")

    def build(self, environment: dict[str, str], **table: Any) -> Bedrock:
        return build({"AWS_REGION": "eu-west-1", **environment}, base_url=self.bedrock.url, models=["m"], **table)

    async def signs(self, environment: dict[str, str], **table: Any) -> tuple[str, str | None]:
        provider = self.build(environment, **table)
        try:
            return await signed_with(provider, self.bedrock)
        finally:
            await provider.aclose()


@pytest.fixture
async def lending() -> Any:
    async with FakeUpstream(default=aws.lends()) as lender, FakeUpstream() as bedrock:
        yield Lending(lender, bedrock)


LENT = ("ASIALENT", "lent-token==")


async def test_a_container_asks_its_agent_with_the_token_of_the_moment(lending: Lending, tmp_path: Path) -> None:
    token = tmp_path / "token"
    full = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{lending.origin}/v1/credentials?x=1"}
    assert await lending.signs(full) == LENT
    assert [(seen.method, seen.path, seen.header("authorization")) for seen in lending.lender.requests] == [
        ("GET", "/v1/credentials?x=1", None)
    ]
    lending.lender.default = aws.lends(proof="pod-token")
    token.write_text("pod-token\n")
    in_file = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token), "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other"}
    assert await lending.signs(full | in_file) == LENT
    assert await lending.signs(full | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token"}) == LENT
    for wrong in (
        {},
        {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "none")},
        {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\nb"},
    ):
        with pytest.raises(UpstreamAuth, match="container's agent"):
            await lending.signs(full | wrong)


async def test_ecs_has_its_agent_at_an_address_of_its_own() -> None:
    provider = build({"AWS_REGION": "eu-west-1", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"}, models=["m"])
    assert [(pool.origin.host, pool.origin.is_tls) for pool in provider.pools][-1] == ("169.254.170.2", False)
    await provider.aclose()


async def test_an_instance_has_a_role_by_the_second_version_of_its_metadata_service(lending: Lending) -> None:
    where = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": lending.origin}
    assert await lending.signs(where, instance_role=True) == LENT
    assert [(seen.method, seen.path) for seen in lending.lender.requests] == [
        ("PUT", "/latest/api/token"),
        ("GET", "/latest/meta-data/iam/security-credentials/"),
        ("GET", "/latest/meta-data/iam/security-credentials/gate-role"),
    ]


async def test_where_there_is_no_instance_the_error_says_what_is_missing(lending: Lending) -> None:
    lending.lender.refuse()
    with pytest.raises(UpstreamAuth, match="no EC2 instance"):
        await lending.signs({"AWS_EC2_METADATA_SERVICE_ENDPOINT": lending.origin}, instance_role=True)
    assert not lending.bedrock.requests


async def test_a_cluster_proves_itself_by_a_token_in_a_file(lending: Lending, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("web.identity.token")
    environment = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ROLE_ARN": ARN,
        "AWS_ROLE_SESSION_NAME": "pod",
        "AWS_ENDPOINT_URL_STS": lending.origin,
    }
    assert await lending.signs(environment) == LENT
    assert lending.lender.requests[0].body.decode() == (
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgate"
        "&RoleSessionName=pod&WebIdentityToken=web.identity.token"
    )
    token.write_text("expired")
    with pytest.raises(UpstreamAuth, match="ExpiredTokenException"):
        await lending.signs(environment)
    token.unlink()
    with pytest.raises(UpstreamAuth, match="cannot be read"):
        await lending.signs(environment)


def home(tmp_path: Path, config: str, credentials: str = "") -> dict[str, str]:
    (tmp_path / ".aws/sso/cache").mkdir(parents=True, exist_ok=True)
    (tmp_path / ".aws/config").write_text(config)
    (tmp_path / ".aws/credentials").write_text(credentials)
    return {"HOME": str(tmp_path)}


SSO = """
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.awsapps.com/start

[profile work]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Gate

[profile older]
sso_start_url = https://corp.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = Gate
"""


@pytest.mark.parametrize(("profile", "session"), [("work", "corp"), ("older", "https://corp.awsapps.com/start")])
async def test_a_person_who_is_logged_in_lends_a_role(lending: Lending, tmp_path: Path, profile: str, session: str) -> None:
    environment = home(tmp_path, SSO) | {"AWS_ENDPOINT_URL_SSO": lending.origin}
    with pytest.raises(UpstreamAuth, match="aws sso login"):
        await lending.signs(environment, profile=profile)
    login = tmp_path / ".aws/sso/cache" / f"{hashlib.sha1(session.encode()).hexdigest()}.json"
    login.write_text(json.dumps({"accessToken": aws.LOGIN, "expiresAt": "2099-01-01T00:00:00Z", "region": "us-east-1"}))
    assert await lending.signs(environment, profile=profile) == LENT
    assert lending.lender.requests[-1].path == "/federation/credentials?role_name=Gate&account_id=123456789012"
    for wrong in (
        {"accessToken": aws.LOGIN, "expiresAt": "2020-01-01T00:00:00Z"},
        {"accessToken": "x", "expiresAt": "2099-01-01T00:00:00Z"},
    ):
        login.write_text(json.dumps(wrong))
        with pytest.raises(UpstreamAuth, match="aws sso login"):
            await lending.signs(environment, profile=profile)


STATIC = "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s\n"


async def test_what_comes_first_is_used(lending: Lending, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    here = home(tmp_path, SSO, STATIC)
    instance = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": lending.origin}
    cluster = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": ARN, "AWS_ENDPOINT_URL_STS": lending.origin}
    keys = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "s"}
    assert await lending.signs(instance | here | cluster | keys) == ("AKIDENV", None)
    assert await lending.signs(instance | here | cluster) == LENT
    assert lending.lender.requests[-1].path == "/"
    assert await lending.signs(instance | here) == ("AKIDFILE", None)
    mine = await lending.signs(instance | cluster | here, access_key_id="AKIDTABLE", secret_access_key="env:HOME")
    assert mine == ("AKIDTABLE", None)
    assert await lending.signs(instance, instance_role=True) == LENT


async def test_the_machines_role_is_not_taken_unasked(lending: Lending) -> None:
    instance = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": lending.origin}
    with pytest.raises(ConfigError, match="no AWS credentials") as raised:
        lending.build(instance)
    assert "instance_role" in (raised.value.hint or "")
    with pytest.raises(ConfigError):
        lending.build(instance | {"AWS_EC2_METADATA_DISABLED": "true"}, instance_role=True)
    assert not lending.lender.requests


ROLES = f"""
[profile far]
role_arn = {ARN}
source_profile = near
external_id = told
duration_seconds = 900
role_session_name = nightly

[profile itself]
role_arn = {ARN}
source_profile = itself
aws_access_key_id = AKIDITSELF
aws_secret_access_key = s

[profile environments]
role_arn = {ARN}
credential_source = Environment

[profile twice]
role_arn = {ARN}
source_profile = far

[profile machines]
role_arn = {ARN}
credential_source = Ec2InstanceMetadata
"""
NEAR = "[near]\naws_access_key_id = AKIDNEAR\naws_secret_access_key = s\n"


def signers(upstream: FakeUpstream) -> list[str]:
    said = [seen.header("authorization") or "" for seen in upstream.requests if seen.path == "/"]
    return [each.partition("Credential=")[2].partition("/")[0] for each in said]


@pytest.mark.parametrize(
    ("profile", "asked_by"),
    [
        ("far", ["AKIDNEAR"]),
        ("itself", ["AKIDITSELF"]),
        ("environments", ["AKIDENV"]),
        ("twice", ["AKIDNEAR", "ASIALENT"]),
        ("machines", ["ASIALENT"]),
    ],
)
async def test_a_profiles_role_is_assumed(lending: Lending, tmp_path: Path, profile: str, asked_by: list[str]) -> None:
    environment = home(tmp_path, ROLES, NEAR) | {
        "AWS_ENDPOINT_URL_STS": lending.origin,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": lending.origin,
        "AWS_ACCESS_KEY_ID": "AKIDENV",
        "AWS_SECRET_ACCESS_KEY": "s",
    }
    assert await lending.signs(environment, profile=profile) == LENT
    assert signers(lending.lender) == asked_by
    if profile == "far":
        assert lending.lender.requests[0].body.decode() == (
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgate"
            "&RoleSessionName=nightly&ExternalId=told&DurationSeconds=900"
        )


async def test_the_tables_role_is_assumed_with_whatever_was_found(lending: Lending, tmp_path: Path) -> None:
    sts = {"AWS_ENDPOINT_URL_STS": lending.origin}
    keys = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "s"}
    assert await lending.signs(sts | keys, role_arn=ARN, external_id="told") == LENT
    assert await lending.signs(sts | home(tmp_path, "", NEAR), role_arn=ARN, profile="near") == LENT
    assert await lending.signs(sts | home(tmp_path, ROLES, NEAR), role_arn=ARN, profile="far") == LENT
    assert signers(lending.lender) == ["AKIDENV", "AKIDNEAR", "AKIDNEAR", "ASIALENT"]
    assert b"ExternalId=told" in lending.lender.requests[0].body


async def test_an_assumed_role_is_renewed_before_it_ends(lending: Lending) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    lending.lender.default = aws.lends(expiration=soon)
    environment = {"AWS_ENDPOINT_URL_STS": lending.origin, "AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "s"}
    provider = lending.build(environment, role_arn=ARN)
    assert await signed_with(provider, lending.bedrock) == LENT
    lending.bedrock.script(Step("expired", aws.expired))
    assert (await provider.start(attempt(provider))).status == 403
    assert await signed_with(provider, lending.bedrock) == LENT
    assert len(lending.lender.requests) == 2
    await provider.aclose()


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (f"[profile p]\nrole_arn = {ARN}\n", "with whose credentials"),
        (f"[profile p]\nrole_arn = {ARN}\nsource_profile = gone\n", "`gone` has no credentials"),
        (f"[profile p]\nrole_arn = {ARN}\ncredential_source = EcsContainer\n", "`EcsContainer` has no credentials"),
        (f"[profile p]\nrole_arn = {ARN}\nsource_profile = p\nmfa_serial = m\n", "a person types"),
        (
            f"[profile p]\nrole_arn = {ARN}\nsource_profile = q\n[profile q]\nrole_arn = {ARN}\nsource_profile = p\n",
            "assumes its role with itself",
        ),
    ],
)
async def test_a_role_that_nobody_can_assume_stops_the_start(lending: Lending, tmp_path: Path, config: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        lending.build(home(tmp_path, config), profile="p")


def program(tmp_path: Path, prints: object, ends_with: int = 0) -> str:
    """A profile whose credentials a program prints."""
    text = tmp_path / "printed.json"
    text.write_text(json.dumps(prints))
    code = f"import sys; print(open({str(text)!r}).read()); sys.exit({ends_with})"
    return f"[profile p]\ncredential_process = {shlex.join([sys.executable, '-c', code])}\n"


PRINTED = {"Version": 1, "AccessKeyId": "ASIAPRINTED", "SecretAccessKey": "s"}


@pytest.mark.parametrize("more", [{}, {"SessionToken": "t", "Expiration": "2099-01-01T00:00:00Z"}])
async def test_a_program_prints_credentials(lending: Lending, tmp_path: Path, more: dict[str, str]) -> None:
    environment = home(tmp_path, program(tmp_path, PRINTED | more))
    assert await lending.signs(environment, profile="p") == ("ASIAPRINTED", more.get("SessionToken"))


@pytest.mark.parametrize(
    ("prints", "ends_with", "why"),
    [
        (PRINTED | {"Version": 2}, 0, "what it prints is none"),
        (PRINTED | {"AccessKeyId": "a\nb"}, 0, "what it prints is none"),
        (PRINTED, 3, "ended with 3"),
    ],
)
async def test_a_program_that_fails_is_told(lending: Lending, tmp_path: Path, prints: object, ends_with: int, why: str) -> None:
    with pytest.raises(UpstreamAuth, match=why):
        await lending.signs(home(tmp_path, program(tmp_path, prints, ends_with)), profile="p")


@pytest.mark.parametrize("command", ["/nowhere/at/all", "'unclosed", '""'])
async def test_a_program_that_is_none_is_told(lending: Lending, tmp_path: Path, command: str) -> None:
    with pytest.raises(UpstreamAuth, match="cannot be run"):
        await lending.signs(home(tmp_path, f"[profile p]\ncredential_process = {command}\n"), profile="p")


async def test_a_role_of_a_profile_by_a_token(lending: Lending, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    config = f"[profile pod]\nrole_arn = {ARN}\nweb_identity_token_file = {token}\n"
    assert await lending.signs(home(tmp_path, config) | {"AWS_ENDPOINT_URL_STS": lending.origin}, profile="pod") == LENT
    assert "RoleSessionName=aldgate" in lending.lender.requests[0].body.decode()


@pytest.mark.parametrize(
    "body", [b"{}", b"\xff", b'{"AccessKeyId":"a\\nb","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}']
)
async def test_what_is_no_credential_is_refused(lending: Lending, body: bytes) -> None:
    def play(asked: object) -> Any:
        yield wire.whole(body)

    lending.lender.default = Step("odd", play)
    with pytest.raises(UpstreamAuth, match="what it answers is none"):
        await lending.signs({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{lending.origin}/x"})


async def test_credentials_that_have_ended_are_asked_for_again(lending: Lending) -> None:
    provider = lending.build({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{lending.origin}/x"})
    lending.bedrock.script(Step("expired", aws.expired))
    reply = await provider.start(attempt(provider))
    assert reply.status == 403
    assert await signed_with(provider, lending.bedrock) == LENT
    assert await signed_with(provider, lending.bedrock) == LENT
    assert len(lending.lender.requests) == 2
    await provider.aclose()
