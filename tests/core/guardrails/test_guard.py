import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import ContentBlocked
from aldgate.core.guardrails.guard import Guard, Guards, Passage
from aldgate.core.guardrails.kinds import Guardrail, Language, Moderation, Pii, Secrets, Size, Webhook, Words, united
from tests.core.guardrails.texts import FINDS, cut_texts, texts, through

ALL: tuple[Guardrail, ...] = (
    Pii(),
    Secrets(),
    Words(words=("bob", "99"), patterns=("1+",), action="redact", name="own"),
)


def requested(guard: Guard, given: list[str]) -> tuple[Passage, list[str]]:
    """What a guard leaves of the texts of a request."""
    passage = guard.passage(given)
    for guardrail in guard.input:
        assert not isinstance(guardrail, Moderation | Webhook)
        begin = passage.request(guardrail)
        given = [through(begin(), [text]) for text in given]
    return passage, given


@given(st.lists(texts, max_size=3), st.data())
def test_what_was_redacted_comes_back_however_the_answer_is_cut(given_texts: list[str], data: st.DataObject) -> None:
    guard = Guard(tuple(msgspec.structs.replace(each, applies_to="input") for each in ALL))
    passage, redacted = requested(guard, given_texts)
    for text, sent in zip(given_texts, redacted, strict=True):
        places = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
        pieces = [sent[start:end] for start, end in zip([0, *places], [*places, len(sent)], strict=True)]
        assert through(passage.answer(), pieces) == text


@given(st.lists(st.sampled_from([*FINDS, "and", "to be", "1", "::"]), min_size=1, max_size=8))
def test_a_provider_sees_nothing_that_a_guardrail_finds(parts: list[str]) -> None:
    _, (sent,) = requested(Guard((Pii(applies_to="input"), Secrets(applies_to="input"))), ["; ".join(parts)])
    assert not [found for found in FINDS if found.removeprefix("password=") in sent]


@pytest.mark.parametrize("action", ["redact", "mask"])
@given(cut_texts())
def test_an_answer_is_the_same_whole_and_in_pieces(action: str, cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    guard = Guard(tuple(msgspec.structs.replace(each, action=action) for each in ALL))
    passage, _ = requested(guard, ["I am bob@example.com, [EMAIL_3]"])
    whole = through(passage.answer(), [text])
    assert through(passage.answer(), pieces) == whole == through(passage.answer(), list(text))
    assert through(passage.answer(is_json=True), pieces) == through(passage.answer(is_json=True), [text])


@given(cut_texts())
def test_an_answer_is_blocked_however_it_is_cut(cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    guard = Guard((Pii(action="block"), Words(patterns=("99",)), Size(most_characters=60, applies_to="output")))

    def verdict(given: list[str]) -> str:
        try:
            return through(guard.passage([]).answer(), given)
        except ContentBlocked as error:
            return error.code

    assert verdict(pieces) == verdict([text]) == verdict(list(text))


def test_the_same_value_has_the_same_placeholder_and_no_text_has_it_already() -> None:
    passage, sent = requested(Guard((Pii(),)), ["a@b.example and c@d.example", "[EMAIL_1] is not a@b.example"])
    assert sent == ["[EMAIL_2] and [EMAIL_3]", "[EMAIL_1] is not [EMAIL_2]"]
    assert through(passage.answer(), ["[EMAIL_1] [EM", "AIL_", "3] [EMAIL_4]"]) == "[EMAIL_1] c@d.example [EMAIL_4]"


@pytest.mark.parametrize(
    ("guardrail", "text", "message"),
    [
        (
            Pii(action="block", name="privacy"),
            "to bob@example.com",
            "The guardrail `privacy` found an e-mail address in the request.",
        ),
        (Secrets(action="block"), "AKIAIOSFODNN7EXAMPLE", "The guardrail `secrets` found an AWS access key in the request."),
        (
            Words(words=("banana",)),
            "Bananas? One BANANA.",
            "The guardrail `words` found a word that is not allowed in the request.",
        ),
        (Size(most_characters=5), "123456", "The guardrail `size` found more than 5 characters in the request."),
        (Size(most_tokens=2), "éééééé", "The guardrail `size` found more than 2 tokens in the request."),
        (
            Language(allowed=("en", "de")),
            "Je ne sais pas ce que vous voulez dire par là, mais c'est la vie et je suis content pour vous.",
            "The guardrail `language` found text that is not in en or de in the request.",
        ),
    ],
)
def test_a_refusal_names_the_guardrail_and_never_the_text(guardrail: Guardrail, text: str, message: str) -> None:
    with pytest.raises(ContentBlocked) as refusal:
        requested(Guard((guardrail,)), [text])
    assert refusal.value.message == message
    assert (refusal.value.code, refusal.value.status) == ("content_blocked", 400)


def test_sizes_are_counted_over_all_texts() -> None:
    guard = Guard((Size(most_characters=5),))
    assert requested(guard, ["123", "45"])[1] == ["123", "45"]
    with pytest.raises(ContentBlocked):
        requested(guard, ["123", "456"])


def test_a_mask_keeps_the_shape() -> None:
    assert requested(Guard((Pii(action="mask"),)), ["bob@example.com!"])[1] == ["***@*******.***!"]


def test_what_an_answer_says_by_itself_is_labelled_and_not_restored() -> None:
    passage, _ = requested(Guard((Pii(),)), ["a@b.example"])
    assert through(passage.answer(), ["[EMAIL_1] or c@d.example"]) == "a@b.example or [EMAIL]"
    assert through(passage.answer(restores=False), ["[EMAIL_1]"]) == "[EMAIL_1]"


def test_guardrails_apply_where_they_say() -> None:
    guard = Guard((Pii(applies_to="input"), Secrets(applies_to="output"), Moderation(model="m"), Webhook(url="http://h/x")))
    assert [each.title for each in guard.input] == ["pii", "moderation", "webhook"]
    assert [each.title for each in guard.output] == ["secrets", "moderation", "webhook"]
    assert [each.title for each in guard.judges] == ["moderation", "webhook"]


def test_a_guard_is_made_once_for_the_same_guardrails() -> None:
    guards = Guards()
    first = guards.of((Pii(),))
    assert guards.of((Pii(),)) is first
    assert guards.of((Pii(action="mask"),)) is not first
    for number in range(1_100):
        guards.of((Size(most_characters=number + 1),))
    assert guards.of((Pii(),)) is not first, "old ones make room"


def test_levels_add_up_and_the_outermost_acts_first() -> None:
    pii, words = Pii(), Words(words=("x",))
    assert united((pii,), (), (words, pii)) == (pii, words)


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "pii", "finds": ["email", "ip"], "action": "mask", "applies_to": "input", "name": "mine"},
        {"kind": "secrets", "action": "block"},
        {"kind": "words", "words": ["a"], "patterns": ["b+c"], "is_whole": False, "ignores_case": False},
        {"kind": "size", "most_tokens": 5},
        {"kind": "language", "allowed": ["en"]},
        {"kind": "moderation", "model": "m", "thresholds": {"hate": 0.5}, "on_failure": "open"},
        {"kind": "webhook", "url": "https://judge.example:8443/v1/verdict", "timeout_s": 2},
    ],
)
def test_guardrails_are_read_and_written(table: dict[str, object]) -> None:
    guardrail = msgspec.convert(table, Guardrail)
    assert msgspec.json.decode(msgspec.json.encode(guardrail), type=Guardrail) == guardrail
    assert guardrail.title == table.get("name", table["kind"])


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "pii", "finds": ["faces"]},
        {"kind": "pii", "more": 1},
        {"kind": "words"},
        {"kind": "words", "patterns": ["a*"]},
        {"kind": "words", "patterns": ["(a"]},
        {"kind": "words", "words": [""]},
        {"kind": "size"},
        {"kind": "size", "most_tokens": 0},
        {"kind": "language", "allowed": ["tlh"]},
        {"kind": "language", "allowed": []},
        {"kind": "moderation", "model": "m", "thresholds": {"hate": 2}},
        {"kind": "webhook", "url": "file:///etc/passwd"},
        {"kind": "webhook", "url": "http://user:secret@host/"},
        {"kind": "webhook", "url": "http://host/path?query"},
        {"kind": "webhook", "url": "http://host/\r\nx: y"},
        {"kind": "other"},
    ],
)
def test_what_is_no_guardrail_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Guardrail)
