import pytest

from aldgate.core.guardrails.language import known_languages, languages_of


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The quick brown fox jumps over the lazy dog, and that is what it was for."),
        ("de", "Der schnelle Fuchs springt über den Hund, und das ist nicht alles, was er kann."),
        ("fr", "Le renard brun saute par-dessus le chien et il est content de ne pas être un chien."),
        ("es", "El zorro salta sobre el perro y no es lo que parece, pero también está muy contento."),
        ("it", "La volpe salta sopra il cane, ma non è una cosa che si può fare con gli altri."),
        ("pt", "A raposa não salta sobre o cão, mas isso também é uma coisa que você pode ver com os olhos."),
        ("nl", "De vos springt over de hond en dat is niet alles wat hij kan, maar het is wel een begin."),
        ("ru", "Быстрая лиса прыгает через ленивую собаку"),
        ("el", "Η γρήγορη αλεπού πηδάει πάνω από τον σκύλο"),
        ("ja", "素早い茶色の狐がのろまな犬を飛び越えましたとさ。"),
        ("zh", "敏捷的棕色狐狸跳过了懒惰的狗然后继续往前跑了很久很久"),
        ("ko", "빠른 갈색 여우가 게으른 개를 뛰어넘어서 멀리 갔습니다"),
        ("ar", "الثعلب البني السريع يقفز فوق الكلب الكسول"),
        ("th", "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ"),
    ],
)
def test_languages_are_told_apart(language: str, text: str) -> None:
    found = languages_of(text)
    assert language in found
    assert "en" not in found or language == "en"


@pytest.mark.parametrize("text", ["", "Hello!", "12345 67890 12345 67890", "x = foo(bar, baz) + qux[17].quux", "OK " * 20])
def test_what_cannot_be_told_is_in_no_language(text: str) -> None:
    assert languages_of(text) == frozenset()


def test_languages_of_one_script_pass_for_each_other() -> None:
    assert {"ru", "uk"} <= languages_of("Быстрая лиса прыгает через ленивую собаку")
    assert {"en", "ru", "ja"} <= known_languages()
