"""The operator's word on models, over what providers and catalogues say."""

from aldgate.core.catalogue import build_catalogue
from aldgate.core.overrides import Said, overridden
from aldgate.core.prices import FREE, Price
from aldgate.core.routes import Deployment, Facts, Source

OWN = Price(input=7, version="config")
LISTED = Price(input=1, version="list")


def source(*models: str, accepts_any: bool = False) -> Source:
    found = tuple(Deployment(f"lab/{model}", "lab", model, LISTED, "file") for model in models)
    return Source("lab", found, "file", accepts_any=accepts_any, unlisted_price=FREE)


def prices_of(source: Source) -> dict[str, Price | None]:
    return {each.id: each.price for each in (*source.deployments, *source.known)}


def test_the_operators_price_beats_the_listed_one_and_the_full_name_the_bare_one() -> None:
    said = Said({"lab/a": OWN, "a": FREE, "b": OWN, "other/c": OWN})
    assert prices_of(overridden(source("a", "b", "c"), said)) == {"lab/a": OWN, "lab/b": OWN, "lab/c": LISTED}


def test_what_is_no_longer_said_is_as_listed_again() -> None:
    offered = source("a")
    assert overridden(offered, Said({"a": OWN})).deployments[0].price is OWN
    assert overridden(offered, Said()) == offered


def test_a_model_that_is_not_listed_has_the_price_that_was_said_of_it_and_stays_unlisted() -> None:
    said = Said({"lab/ft:x": OWN, "lab/a": OWN, "y": OWN})
    assert prices_of(overridden(source("a"), said)) == {"lab/a": OWN}
    offered = overridden(source("a", accepts_any=True), said)
    catalogue, _ = build_catalogue([offered], {})
    assert [model.id for model in catalogue.models] == ["lab/a"]
    assert catalogue.resolve("lab/ft:x").deployments[0].price is OWN
    assert catalogue.resolve("lab:ft:x").deployments[0].price is OWN
    assert catalogue.resolve("lab/else").deployments[0].price is FREE


def test_facts_fill_gaps_and_the_first_word_counts() -> None:
    told = Facts(context_window=10, can=frozenset({"tools", "vision"}), cannot=frozenset({"audio"}), is_deprecated=True)
    own = Facts(context_window=5, max_output=3, can=frozenset({"audio"}), cannot=frozenset({"vision"}), ends_on="2027-01-01")
    joined = Facts(
        context_window=5,
        max_output=3,
        can=frozenset({"audio", "tools"}),
        cannot=frozenset({"vision"}),
        ends_on="2027-01-01",
        is_deprecated=True,
    )
    assert own.over(told) == joined
    deployment = Deployment("lab/a", "lab", "a", LISTED, "file", facts=told)
    source = Source("lab", (deployment,), "file")
    assert overridden(source, Said(facts={"lab/a": own})).deployments[0].facts == joined
    assert overridden(source, Said(facts={"a": own})).deployments[0].price is LISTED
