import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.catalogue import build_catalogue
from aldgate.core.errors import ModelNotFound
from aldgate.core.prices import FREE, Price
from aldgate.core.routes import Catalogue, Deployment, Source

PRICE = Price(input=1)
names = st.text("ab/:-.", min_size=1, max_size=6)
providers = st.text("abcd", min_size=1, max_size=2)


def source(name: str, *models: str, accepts_any: bool = False) -> Source:
    found = tuple(Deployment(f"{name}/{model}", name, model, FREE, "file") for model in models)
    return Source(name, found, "file", accepts_any=accepts_any, unlisted_price=PRICE)


def target(catalogue: Catalogue, name: str) -> str:
    (deployment,) = catalogue.resolve(name).deployments
    return deployment.id


LAB = source("lab", "small", "meta/llama:free", "shared")
HUB = source("hub", "shared", "lab/small", accepts_any=True)


def test_every_spelling_leads_to_its_deployment() -> None:
    catalogue, problems = build_catalogue([LAB, HUB], {"fast": "small", "free": "lab/meta/llama:free"})
    assert problems == []
    for name, deployment in {
        "small": "lab/small",
        "lab:small": "lab/small",
        "meta/llama:free": "lab/meta/llama:free",
        "lab/meta/llama:free": "lab/meta/llama:free",
        "lab:meta/llama:free": "lab/meta/llama:free",
        "shared": "lab/shared",
        "hub/shared": "hub/shared",
        "hub:lab/small": "hub/lab/small",
        "fast": "lab/small",
        "free": "lab/meta/llama:free",
    }.items():
        assert target(catalogue, name) == deployment, name
    assert [deployment.id for deployment in catalogue.models] == [each.id for each in (*LAB.deployments, *HUB.deployments)]


def test_what_is_listed_beats_a_bare_name_then_an_alias_then_other_spellings() -> None:
    catalogue, problems = build_catalogue([LAB, HUB], {"shared": "small", "hub:shared": "small", "fast": "gone"})
    assert target(catalogue, "lab/small") == "lab/small"
    assert target(catalogue, "lab:small") == "lab/small"
    assert target(catalogue, "shared") == "lab/shared"
    assert target(catalogue, "hub:shared") == "lab/small"
    assert problems[0] == "alias `shared` is never used: `lab/shared` has that name"
    assert problems[1].startswith("alias `fast`: The model `gone` does not exist.")


@pytest.mark.parametrize(
    ("name", "model"),
    [("hub/new", "new"), ("hub:new", "new"), ("hub/a/b:c", "a/b:c"), ("hub:a/b:c", "a/b:c"), ("hub::", ":"), ("hub//", "/")],
)
def test_an_open_source_takes_any_name(name: str, model: str) -> None:
    catalogue, _ = build_catalogue([LAB, HUB], {})
    route = catalogue.resolve(name)
    assert route.name == name
    assert route.deployments == (Deployment(f"hub/{model}", "hub", model, PRICE, "file"),)
    assert len(catalogue.models) == 5


@pytest.mark.parametrize("name", ["", "new", "lab/new", "lab:new", "hub", "hub/", "hub:", "/new", ":new", "Hub/new"])
def test_what_leads_nowhere_is_not_found(name: str) -> None:
    catalogue, _ = build_catalogue([LAB, HUB], {})
    with pytest.raises(ModelNotFound) as raised:
        catalogue.resolve(name)
    assert raised.value.param == "model"


def test_near_matches_are_named_and_long_names_cut() -> None:
    catalogue, _ = build_catalogue([LAB], {})
    with pytest.raises(ModelNotFound, match="Did you mean `lab/small`"):
        catalogue.resolve("lab/smal")
    with pytest.raises(ModelNotFound) as raised:
        catalogue.resolve("x" * 10_000)
    assert len(raised.value.message) < 200 and "Did you mean" not in raised.value.message


def test_an_alias_may_name_a_model_that_is_not_listed_but_not_another_alias() -> None:
    catalogue, problems = build_catalogue([HUB], {"one": "hub/new", "two": "one"})
    assert target(catalogue, "one") == "hub/new"
    assert len(problems) == 1 and problems[0].startswith("alias `two`")


@given(
    st.dictionaries(providers, st.tuples(st.lists(names, unique=True, max_size=3), st.booleans()), max_size=4),
    st.dictionaries(names, names, max_size=3),
    st.lists(names, max_size=5),
)
def test_resolution_has_one_order(offers: dict[str, tuple[list[str], bool]], aliases: dict[str, str], asked: list[str]) -> None:
    sources = [source(name, *models, accepts_any=is_open) for name, (models, is_open) in offers.items()]
    catalogue, _ = build_catalogue(sources, aliases)
    bare = {deployment.model: deployment.id for each in reversed(sources) for deployment in reversed(each.deployments)}
    colon = {f"{each.name}:{d.model}": d.id for each in sources for d in each.deployments}
    slash = {d.id: d.id for each in sources for d in each.deployments}

    def without_aliases(name: str) -> str | None:
        for table in (bare, colon, slash):
            if name in table:
                return table[name]
        for separator in ":/":
            provider, _, model = name.partition(separator)
            if model and offers.get(provider, ((), False))[1]:
                return f"{provider}/{model}"
        return None

    for name in {*asked, *bare, *colon, *slash, *aliases}:
        expected = bare.get(name) or (without_aliases(aliases[name]) if name in aliases else None) or without_aliases(name)
        if expected is None:
            with pytest.raises(ModelNotFound):
                catalogue.resolve(name)
        else:
            assert target(catalogue, name) == expected
