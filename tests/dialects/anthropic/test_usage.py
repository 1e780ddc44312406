"""Usage as Anthropic counts it and as the ledger does."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.usage import Usage
from aldgate.dialects.anthropic.usage import WireUsage, write_usage

counts = st.integers(0, 10_000)


@given(counts, counts, counts, counts, counts, counts)
def test_writing_and_reading_agree(plain: int, read: int, short: int, kept: int, output: int, thought: int) -> None:
    usage = Usage(plain + read + short + kept, output, read, short + kept, thought, cache_write_1h_tokens=kept)
    assert msgspec.convert(write_usage(usage), WireUsage).canonical() == usage


def test_a_split_alone_tells_what_was_written() -> None:
    seen = msgspec.convert({"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 4}}, WireUsage)
    assert seen.canonical() == Usage(5, 0, 0, 4, cache_write_1h_tokens=4)


def test_odd_figures_pay_nobodys_bill() -> None:
    assert WireUsage(input_tokens=-5, output_tokens=3.0).canonical() == Usage(0, 3)


def test_a_report_without_input_leaves_the_input_as_it_was() -> None:
    first = WireUsage(input_tokens=9, cache_read_input_tokens=1, output_tokens=1)
    assert first.replaced_by(WireUsage(output_tokens=7)).canonical() == Usage(10, 7, 1)
    assert first.replaced_by(WireUsage(input_tokens=0, output_tokens=7)).canonical() == Usage(10, 7, 1)
    assert first.replaced_by(WireUsage(input_tokens=2, cache_read_input_tokens=3, output_tokens=7)).canonical() == Usage(5, 7, 3)
