"""The known weaknesses of gateways and what they run on, so that none of their tests gets lost.

A test is named after the number of the report, or after what happened where there is no number.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.regressions.test_every_bug_has_a_test import named

WEAKNESSES = {
    "supply_chain": "2026-03-24: a package that steals when the interpreter starts, published with stolen credentials",
    "image_poisoning": "2024-12: an image pushed by somebody else",
    "cve_2026_42208": "SQL through the key, before anybody is known, where an error is handled",
    "cve_2026_42271": "a caller's command run as a connection test",
    "cve_2026_48710": "a Host header that moves the path which is authorised",
    "cve_2026_47101": "a key with wildcards made by who is no administrator",
    "cve_2026_47102": "a role written as any other field",
    "cve_2026_40217": "code of a caller in a sandbox that leaks",
    "cve_2026_35030": "identities remembered by the beginning of a token",
    "cve_2026_12773": "a route that asks for no credential",
    "cve_2024_6587": "an upstream that the caller chooses gets the provider's key",
    "key_leaks": "secrets in exceptions, errors, logs and ids of the audit log",
    "cve_2026_25591": "wildcards of LIKE in a search",
    "cve_2026_41432": "an empty secret that signs",
    "cve_2026_45400": "an address that two parsers read in two ways",
    "cve_2026_45401": "a redirect to where nobody may go",
    "cve_2026_45349": "another's conversation continued by its id",
    "cve_2026_45671": "another's file deleted by its id",
    "cve_2026_45339": "a restriction that holds for one carrier of the key alone",
    "ghsa_3mj3_57v2_4636": "credentials that follow a redirect to another host",
    "localai_10673": "a model fetched from where a caller says",
    "traversal": "a file read by a path of the caller's",
    "ghsa_vgf8_3685_66j9": "a token that is good in another environment",
    "contextforge_3812": "templates and paths beyond a list of bad words",
    "contextforge_redos": "a pattern that takes for ever",
    "contextforge_4341": "an administrator who reads what is private",
    "envoy_2508": "credentials and prompts in debug logs",
    "agentgateway_2191": "keys compared letter by letter",
    "tensorzero_5837": "SQL in what a caller reports",
    "portkey_1372": "a host in a header, and a relay open to all",
    "cve_2026_33626": "an image's address fetched by an engine, and its administration reached",
    "cve_2026_7482": "memory read with a model made for it",
    "xinference": "weights that are a pickle",
    "jwt": "a token that says how it is to be checked",
    "seeds": "a well-known admin secret, keys for nobody, keys in queries, addresses as credentials, secrets in files",
}


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_every_weakness_has_a_test(weakness: str) -> None:
    """A function of its name, which says in a line what must happen."""
    assert any(name.startswith(f"test_{weakness}_") for name in named(Path(__file__).parent)), WEAKNESSES[weakness]
