"""What personal data looks like."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from aldgate.core.guardrails.finder import Detector
from aldgate.core.guardrails.patterns import parse

MOST_CHARACTERS = 320
"""The longest address: 64 characters, `@`, 255 (RFC 5321, 4.5.3.1)."""
_IBAN_LENGTHS: Mapping[str, int] = {
    entry[:2]: int(entry[2:])
    for entry in """AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18
    FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25
    MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28
    TL23 TN24 TR26 UA29 VA22 VG24 XK20""".split()
}
"""Characters of an IBAN by country (ISO 13616; its registry is at https://www.swift.com/resource/iban-registry-pdf)."""


def is_card(text: str) -> bool:
    """Whether the digits pass the Luhn check of payment cards (ISO/IEC 7812-1, annex B)."""
    digits = [int(character) for character in text if character.isdecimal()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Whether it has its country's length and the right check digits (ISO 7064, mod 97-10)."""
    code = text.replace(" ", "").upper()
    if not code.isascii() or _IBAN_LENGTHS.get(code[:2]) != len(code):
        return False
    return int("".join(str(int(character, 36)) for character in code[4:] + code[:4])) % 97 == 1


def is_ipv4(text: str) -> bool:
    """Whether it is an address."""
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def is_ipv6(text: str) -> bool:
    """Whether it is an address. Without a digit it is more likely a name in a program."""
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return any(character.isdecimal() for character in text)


def is_ssn(text: str) -> bool:
    """Whether such a number may have been given to somebody (https://www.ssa.gov/employer/randomization.html)."""
    area, group, serial = text[:3], text[4:6], text[7:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_phone(text: str) -> bool:
    """Whether it has as many digits as a telephone number (E.164)."""
    return 8 <= sum(character.isdecimal() for character in text) <= 15


_D = "[0-9]"
_HEX = "[0-9A-Fa-f]"
_IPV4 = rf"(?:{_D}{{1,3}}\.){{3}}{_D}{{1,3}}\b"
PII: Mapping[str, tuple[Detector, ...]] = {
    "email": (Detector("EMAIL", "an e-mail address", parse(r"\b\w[\w.%+'-]*@(?:[\w-]+\.)+[^\W\d_]{2,24}\b")),),
    "phone": (
        Detector(
            "PHONE",
            "a telephone number",
            parse(
                rf"(?:\+|\b00)[1-9]{_D}{{0,2}}[ ./-]?(?:\({_D}{{1,4}}\)[ ./-]?)?{_D}(?:[ ./-]?{_D}){{5,12}}\b"
                rf"|(?:\B\({_D}{{3}}\) ?|\b{_D}{{3}}[ .-]){_D}{{3}}[ .-]{_D}{{4}}\b"
            ),
            is_phone,
        ),
    ),
    "credit_card": (Detector("CARD", "a card number", parse(rf"\b[2-6](?:[ -]?{_D}){{12,18}}\b"), is_card),),
    "iban": (Detector("IBAN", "an IBAN", parse(rf"\b[A-Za-z]{{2}}{_D}{{2}}(?: ?[A-Za-z0-9]){{11,30}}\b"), is_iban),),
    "ip": (
        Detector("IP", "an IP address", parse(rf"\b{_IPV4}"), is_ipv4),
        Detector(
            "IP",
            "an IP address",
            parse(rf"(?:\b{_HEX}{{1,4}}|\B:)(?::{_HEX}{{0,4}}){{0,6}}(?::{_HEX}{{1,4}}\b|:\B|:{_IPV4})"),
            is_ipv6,
        ),
    ),
    "us_ssn": (Detector("SSN", "a social security number", parse(rf"\b{_D}{{3}}[ -]{_D}{{2}}[ -]{_D}{{4}}\b"), is_ssn),),
}
"""Detectors by the kind of thing."""
