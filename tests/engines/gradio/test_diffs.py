import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import UpstreamInvalid
from aldgate.engines.gradio.diffs import apply_changes

TEXT = st.text(max_size=5)


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("ab", [["append", [], "cd"]], "abcd"),
        (None, [["replace", [], {"path": "/a"}]], {"path": "/a"}),
        ([1, 2], [["replace", [1], 3], ["add", [2], 4]], [1, 3, 4]),
        ([1, 2, 3], [["delete", [1], None]], [1, 3]),
        ({"a": {"b": "x"}}, [["append", ["a", "b"], "y"], ["add", ["c"], 1]], {"a": {"b": "xy"}, "c": 1}),
        ({"a": 1}, [["delete", ["a"], None]], {}),
        ("as it was", [], "as it was"),
    ],
)
def test_changes(before: object, changes: list[object], after: object) -> None:
    kept = copy.deepcopy(before)
    assert apply_changes(before, changes) == after
    assert before == kept


@pytest.mark.parametrize(
    "changes",
    [[["append", ["x"], "y"]], [["turn", [], 1]], [["delete", [9], None]], [["append", [], 3]], ["append"], [[1, 2, 3]], 7],
)
@pytest.mark.parametrize("value", ["a", {"b": "c"}])
def test_what_is_no_change(value: object, changes: object) -> None:
    with pytest.raises(UpstreamInvalid):
        apply_changes(value, changes)


@given(st.lists(TEXT, max_size=6), st.lists(st.tuples(st.integers(0, 5), TEXT), max_size=5))
def test_texts_grow_where_they_are(values: list[str], additions: list[tuple[int, str]]) -> None:
    additions = [(at, text) for at, text in additions if at < len(values)]
    expected = list(values)
    for at, text in additions:
        expected[at] += text
    assert apply_changes(values, [["append", [at], text] for at, text in additions]) == expected
