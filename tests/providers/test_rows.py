from urllib.parse import urlsplit

import pytest
from genai_prices.data_snapshot import get_snapshot

from aldgate.config.settings import Upstream
from aldgate.core.routes import Deployment
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.providers.rows import ROWS, Row
from aldgate.providers.section import Surroundings, build_provider
from aldgate.upstream.pool import Origin

CATALOGUE = {provider.id for provider in get_snapshot().providers}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_usable_as_it_stands(name: str) -> None:
    row = ROWS[name]
    assert bool(row.base_url) != bool(row.local_url)
    url = row.base_url or row.local_url
    assert Origin.of(url).is_tls is bool(row.base_url)
    assert not url.endswith("/") and not urlsplit(url).query
    assert bool(row.local_url) == bool(row.owned_by) == row.is_free
    assert bool(row.base_url) == bool(row.key_names)
    assert not row.catalogue or row.catalogue in CATALOGUE
    assert not row.base_url or row.catalogue
    provider = build_provider(name, {"kind": name}, "file", Surroundings(Upstream(), 1, {}))
    peek = OPENAI.peek("chat", b'{"model":"m","messages":[{"role":"user"}],"stream":true}')
    sent = provider.dialects["openai"].outgoing("chat", peek, Deployment("a/m", "a", "m", None, "file"), cap=5, warnings=[])
    assert provider.name == name
    assert (f'"{row.output_cap_field}":5'.encode() in sent, b"include_usage" in sent) == (True, row.stream_usage == "asked")


def test_no_key_name_and_no_port_means_two_providers() -> None:
    names = [name for row in ROWS.values() for name in row.key_names]
    ports = [Origin.of(row.local_url).port for row in ROWS.values() if row.local_url]
    assert len(set(names)) == len(names) and len(set(ports)) == len(ports)
    assert all(name.isupper() and name.endswith("_API_KEY") for name in names)


def test_a_row_nobody_has_heard_of_is_careful() -> None:
    assert Row() == Row(output_cap_field="max_tokens", stream_usage="asked", catalogue="", is_free=False)
    assert not [name for name in ROWS if set(name) & set("/: ")]
