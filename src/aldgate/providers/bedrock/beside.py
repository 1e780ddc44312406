"""Where the lenders beside the gate are: the container's agent, and the instance's metadata service.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html and feature-imds-credentials.html
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from aldgate.config.errors import ConfigError
from aldgate.providers.bedrock.metadata import Container, Instance
from aldgate.providers.section import LOOPBACK, ProviderSection, Surroundings, address_of, pool_of
from aldgate.upstream.pool import Origin, Pool, Timeouts

_TASKS = "http://169.254.170.2"
_INSTANCES = "http://169.254.169.254"
_AGENTS = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23", *LOOPBACK})
"""Hosts that a container's agent may have without TLS."""
_NEAR = Timeouts(connect_s=1.0, first_byte_s=5.0, idle_s=5.0, total_s=10.0)
"""Agents and metadata services are next door, or nowhere."""


def container(name: str, surroundings: Surroundings) -> Container | None:
    """The agent that the environment names, if it names one.

    Raises:
        ConfigError: It is named where no agent can be.
    """
    environment = surroundings.environment
    relative, full = (environment.get(f"AWS_CONTAINER_CREDENTIALS_{each}_URI", "") for each in ("RELATIVE", "FULL"))
    if not relative and not full:
        return None
    parts = urlsplit(_TASKS + relative if relative else full)
    address, _ = address_of(name, f"{parts.scheme}://{parts.netloc}")
    if not address.is_tls and address.host not in _AGENTS:
        raise ConfigError(
            f"[providers.{name}]: AWS_CONTAINER_CREDENTIALS_FULL_URI is neither HTTPS nor an agent's address",
            hint="credentials are not fetched from elsewhere in the clear",
        )
    file, token = (environment.get(f"AWS_CONTAINER_AUTHORIZATION_TOKEN{each}", "") for each in ("_FILE", ""))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Container(_near(address, name, surroundings), path, _reader(file, token))


def instance(name: str, surroundings: Surroundings) -> Instance | None:
    """The metadata service, unless the environment turns it off.

    Raises:
        ConfigError: The environment says that it is where no address is.
    """
    environment = surroundings.environment
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    address, _ = address_of(name, environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _INSTANCES)
    return Instance(_near(address, name, surroundings))


def _reader(file: str, token: str) -> Callable[[], str]:
    return lambda: Path(file).read_text(encoding="utf-8").strip() if file else token


def _near(address: Origin, name: str, surroundings: Surroundings) -> Pool:
    pool = pool_of(name, address, ProviderSection(), surroundings)
    pool.timeouts = _NEAR
    return pool
