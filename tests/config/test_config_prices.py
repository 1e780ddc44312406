from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.config import ConfigError, PriceEntry, load, to_price
from aldgate.config.prices import is_of_calls, to_job_price
from aldgate.core.jobs import Price as JobPrice
from aldgate.core.prices import Price


def price(directory: Path, toml: str) -> Price:
    (directory / "aldgate.toml").write_text(f'[prices."lab/m"]\n{toml}')
    return to_price(load(flags={}, environment={"HOME": "/h"}, directory=directory).prices["lab/m"])


def test_dollars_become_whole_micro_dollars(tmp_path: Path) -> None:
    assert price(
        tmp_path, "input = 2.50\noutput = '10'\ncached_input = 0.125\ncache_write = 3\nrequest = 0.000000000001\nsearch = 0.01"
    ) == Price(
        input=2_500_000,
        output=10_000_000,
        cached=125_000,
        cache_write=3_000_000,
        request=1,
        version="config",
        search=10_000_000_000,
    )


def test_numbers_of_the_file_are_read_exactly(tmp_path: Path) -> None:
    assert price(tmp_path, "input = 1.1\noutput = 0.000001").input == 1_100_000
    assert price(tmp_path, "input = 0.1e1").input == 1_000_000


def test_what_is_not_said_costs_nothing_or_what_input_costs(tmp_path: Path) -> None:
    assert price(tmp_path, "input = 0") == Price(version="config")


@pytest.mark.parametrize(
    "figure", ["-1", "nan", "inf", "'NaN'", "'-0.5'", "0.0000001", "1000000.5", "'1e-7'", "'1e400'", "'ten'", "true", "'sNaN'"]
)
def test_other_figures_are_refused(tmp_path: Path, figure: str) -> None:
    with pytest.raises(ConfigError) as caught:
        price(tmp_path, f"input = {figure}")
    assert "prices" in caught.value.message


def test_a_price_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="no figures"):
        to_price(PriceEntry())


@given(st.integers(0, 10**12))
def test_every_micro_dollar_survives(microusd: int) -> None:
    assert to_price(PriceEntry(output=Decimal(microusd) / 1_000_000)).output == microusd


@given(st.integers(0, 10**15))
def test_every_micro_dollar_per_million_requests_survives(microusd: int) -> None:
    assert to_price(PriceEntry(request=Decimal(microusd).scaleb(-12))).request == microusd


def test_a_tier_costs_what_it_says_and_else_the_usual(tmp_path: Path) -> None:
    found = price(tmp_path, 'input = 2\noutput = 8\ncached_input = 1\nrequest = 0.1\n[prices."lab/m".tiers.flex]\ninput = 1\n')
    ((tier, flex),) = found.tiers
    assert (tier, flex.input, flex.output, flex.cached, flex.request) == ("flex", 1_000_000, 8_000_000, 1_000_000, found.request)
    assert flex.tiers == ()


@pytest.mark.parametrize(
    "toml", ["[prices.'lab/m'.tiers.flex]\ninput = 1\n", "input = 1\n[prices.'lab/m'.tiers.odd]\ninput = 1\n"]
)
def test_a_tier_alone_or_unheard_of_is_refused(tmp_path: Path, toml: str) -> None:
    with pytest.raises(ConfigError):
        price(tmp_path, toml)


def test_a_job_costs_what_is_said_of_it_and_else_its_device() -> None:
    assert to_job_price(None, 0) == JobPrice(version="free")
    assert to_job_price(None, 300) == JobPrice(gpu_second=300_000_000, version="device")
    said = PriceEntry(image=Decimal("0.02"), audio_second=Decimal("0.001"), request=Decimal("0.005"))
    dear = JobPrice(gpu_second=300_000_000, image=2 * 10**10, audio_second=10**9, job=5 * 10**9, version="config")
    assert to_job_price(said, 300) == dear
    assert to_job_price(PriceEntry(gpu_second=Decimal(0)), 300) == JobPrice(version="config")


def test_a_price_of_jobs_alone_is_none_of_calls() -> None:
    assert not is_of_calls(PriceEntry(image=Decimal(1), gpu_second=Decimal(1), audio_second=Decimal(1)))
    assert is_of_calls(PriceEntry(request=Decimal(1))) and is_of_calls(PriceEntry(input=Decimal(0)))


@pytest.mark.parametrize("figure", ["image = -1", "audio_second = 'nan'", "gpu_second = 0.0000000000001"])
def test_figures_of_jobs_are_checked_as_the_others(tmp_path: Path, figure: str) -> None:
    (tmp_path / "aldgate.toml").write_text(f'[prices."painter/sdxl"]\n{figure}')
    with pytest.raises(ConfigError, match="painter/sdxl"):
        load(flags={}, environment={"HOME": "/h"}, directory=tmp_path)
