"""The backend that the table of a Bedrock provider makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aldgate.config.errors import ConfigError
from aldgate.core.routes import Origin
from aldgate.providers.bedrock.backend import Bedrock
from aldgate.providers.bedrock.chain import find
from aldgate.providers.bedrock.credentials import find_region, profile_name
from aldgate.providers.bedrock.door import Door
from aldgate.providers.bedrock.signature import Signer
from aldgate.providers.bedrock.table import BedrockSection
from aldgate.providers.natives import NATIVES
from aldgate.providers.prices import PriceBook
from aldgate.providers.section import LOOPBACK, Surroundings, address_of, decode_section, key_of, pool_of

_USUAL_REGION = "us-east-1"
"""Where a key found in the environment is tried if nothing says where it belongs: it must not keep the gate from starting."""


def build(name: str, table: Mapping[str, Any], origin: Origin, surroundings: Surroundings) -> Bedrock:
    """The provider for a table.

    Raises:
        ConfigError: It has no region or credentials, or as `providers.section.build_provider`.
    """
    section = decode_section(name, table, BedrockSection)
    environment = surroundings.environment
    region = section.region or find_region(environment, section.profile or profile_name(environment))
    if not region and origin == "environment":
        region = _USUAL_REGION
    if not region:
        raise ConfigError(f"[providers.{name}]: no region is known", hint='write `region = "us-east-1"` or set AWS_REGION')
    api_key = key_of(name, section, NATIVES["bedrock"].key_names, surroundings)
    found = None if api_key else find(name, section, region, surroundings)

    def door(url: str) -> Door:
        address, base_path = address_of(name, url)
        signer = None if found is None else Signer(found.first, address.host_header, region, "bedrock")
        borrowed = None if found is None else found.borrowed
        return Door(pool_of(name, address, section, surroundings), base_path, api_key, signer, borrowed)

    runtime = door(section.base_url or f"https://bedrock-runtime.{region}.amazonaws.com")
    control_url = section.control_url or ("" if section.base_url else f"https://bedrock.{region}.amazonaws.com")
    return Bedrock(
        name,
        runtime=runtime,
        control=door(control_url) if control_url and section.models is None else None,
        models=None if section.models is None else tuple(section.models),
        origin=origin,
        prices=PriceBook("aws", is_free=runtime.pool.origin.host in LOOPBACK),
        renew=None if found is None else found.reread,
        lenders=() if found is None or found.borrowed is None else found.borrowed.pools,
    )
