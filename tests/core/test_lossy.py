import pytest

from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest
from aldgate.core.lossy import refuse_losses


@pytest.mark.parametrize("others", [{"modalities": ["text", "audio"]}, {"audio": {"voice": "x"}}, {"web_search_options": {}}])
def test_what_changes_the_answer_is_refused_by_name(others: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        refuse_losses(Conversation("openai", [], others=others), "m")
    assert raised.value.param in others


@pytest.mark.parametrize("others", [{}, {"modalities": ["text"]}, {"audio": None}, {"logit_bias": {"5": 1}}, {"unheard_of": 1}])
def test_the_rest_may_be_left_out(others: dict[str, object]) -> None:
    refuse_losses(Conversation("openai", [], others=others), "m")
    refuse_losses(Conversation("martian", [], others={"modalities": ["audio"]}), "m")
