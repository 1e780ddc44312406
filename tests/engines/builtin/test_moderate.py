import json
from typing import Any

import pytest
from openai.types import ModerationCreateResponse

from aldgate.core.calls import Attempt
from aldgate.core.errors import InvalidRequest
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.engines.builtin.moderate import CATEGORIES, Moderate, ModerateOptions

DEPLOYMENT = Deployment("builtin/moderate", "builtin", "moderate", FREE, "builtin")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def judged(given: Any) -> list[dict[str, Any]]:
    body = json.dumps({"input": given}).encode()
    reply = await Moderate(ModerateOptions()).start(Attempt("req-1", "moderate", DEPLOYMENT, body, False))
    answer = json.loads(await reply.read())
    ModerationCreateResponse.model_validate(answer)
    return answer["results"]


def flagged(result: dict[str, Any]) -> set[str]:
    assert result["flagged"] == any(result["categories"].values())
    return {category for category, is_flagged in result["categories"].items() if is_flagged}


@pytest.mark.anyio
@pytest.mark.parametrize("category", CATEGORIES)
async def test_each_category_is_flagged_by_its_name_in_brackets(category: str) -> None:
    (result,) = await judged(f"so [{category.upper()}] it is")
    assert flagged(result) == {category}
    assert result["category_scores"][category] == 0.5
    assert len(result["categories"]) == len(result["category_scores"]) == len(result["category_applied_input_types"]) == 13


@pytest.mark.anyio
async def test_words_are_found_whole() -> None:
    assert [flagged(each) for each in await judged(["a Murder", "skill and gorement", "kill myself"])] == [
        {"violence"},
        set(),
        {"violence", "self-harm/intent"},
    ]


@pytest.mark.anyio
async def test_parts_are_one_message() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,x"}}
    (result,) = await judged([{"type": "text", "text": "kill"}, picture])
    assert flagged(result) == {"violence"}


@pytest.mark.anyio
@pytest.mark.parametrize("given", [[], 1, ["a", {"type": "text", "text": "b"}], ["a"] * 1001])
async def test_what_is_no_input_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequest):
        await judged(given)
