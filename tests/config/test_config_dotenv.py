from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aldgate.config import ConfigError
from aldgate.config.dotenv import parse_dotenv, read_dotenv


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A = b  ", "b"),
        ("A=", ""),
        ("A=b # comment", "b"),
        ("A=b#not-a-comment", "b#not-a-comment"),
        ("A= # comment", ""),
        ("A='b # $c \\n'", "b # $c \\n"),
        ('A="b\\n\\"c\\" \\\\ \\$d \\q" # comment', 'b\n"c" \\ $d \\q'),
        ("A='it is'", "it is"),
        ("A=b=c==", "b=c=="),
        ("A=two words", "two words"),
        ("A=http://h/#top", "http://h/#top"),
        ('A="one\ntwo"', "one\ntwo"),
        ("A='one\n# two\n'", "one\n# two\n"),
        ("A=1\nA=2", "2"),
        ("A=$HOME", "$HOME"),
        ("A=b\r\n", "b"),
    ],
)
def test_a_line_is_read_as_dotenv_does(line: str, value: str) -> None:
    assert parse_dotenv(line, ".env") == {"A": value}


def test_comments_and_blank_lines_are_skipped() -> None:
    assert parse_dotenv("\n# A=1\n   # x\n\nB=2\n", ".env") == {"B": "2"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\ncanary", "line 2: is not an assignment"),
        ("A=1\n\n1A=canary", "line 3: is not an assignment"),
        ("A B=canary", "line 1: is not an assignment"),
        ("A=1\nB='canary\nC=3", "line 2: its quote is never closed"),
        ('A="canary" more', "line 1: something follows the closing quote"),
        ("=canary", "line 1: is not an assignment"),
    ],
)
def test_a_malformed_line_is_named_but_not_shown(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dotenv(text, "/srv/.env")
    assert caught.value.message == f"/srv/.env, {problem}"
    assert "canary" not in caught.value.hint


def test_no_file_is_no_names(tmp_path: Path) -> None:
    assert read_dotenv(tmp_path / ".env") == {}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1")
    assert read_dotenv(tmp_path / ".env") == {"A": "1"}


def test_text_that_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1\nB=\xff")
    with pytest.raises(ConfigError, match="line 2: is not UTF-8"):
        read_dotenv(tmp_path / ".env")


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        read_dotenv(tmp_path / ".env")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="'\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")))
@example(" \t\n x ")
def test_single_quotes_keep_any_text(text: str) -> None:
    assert parse_dotenv(f"A='{text}'", ".env") == {"A": text}


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        parse_dotenv(text, ".env")
    except ConfigError as error:
        assert "line" in error.message
