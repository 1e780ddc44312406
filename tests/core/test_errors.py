from collections.abc import Iterator

import pytest

from aldgate.core import errors
from aldgate.core.errors import CallerError, ClientGone, GatewayError, InternalError, PolicyError, Retry, UpstreamError


def below(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """The classes under `kind` that this file defines."""
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


ALL = list(below(GatewayError))
LEAVES = [kind for kind in ALL if not list(below(kind))]


def test_codes_are_words_and_no_two_leaves_share_one() -> None:
    codes = [kind.code for kind in LEAVES]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)
    raised_as_they_are = {UpstreamError.code, InternalError.code}
    assert not raised_as_they_are & set(codes)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    lines = (errors.__doc__ or "").split("\n\n", 1)[1].splitlines()
    drawn: dict[str, list[str]] = {}
    heads = {"GatewayError", *(kind.__name__ for kind in GatewayError.__subclasses__() if kind.__module__ == errors.__name__)}
    head = ""
    for line in lines:
        words = line.split()
        if words and words[0] in heads:
            head, words = words[0], words[1:]
            drawn[head] = []
        drawn[head] += [word for word in words if head not in ("GatewayError", "ClientGone", "HedgeLost")]
    assert set(drawn) == heads
    for name, children in drawn.items():
        if name != "GatewayError":
            assert sorted(children) == sorted(kind.__name__ for kind in below(getattr(errors, name)))


@pytest.mark.parametrize("kind", [GatewayError, *ALL], ids=lambda kind: kind.__name__)
def test_class_facts_hold_together(kind: type[GatewayError]) -> None:
    error = kind("what was bad", param="model", retry_after_s=3)
    assert (error.message, error.param, error.retry_after_s, str(error)) == ("what was bad", "model", 3, "what was bad")
    assert kind.__doc__
    if issubclass(kind, CallerError | PolicyError):
        assert 400 <= kind.status < 500 or kind in (errors.VersionNotSupported, errors.NothingKept)
    elif issubclass(kind, InternalError):
        assert kind.status in (500, 501, 503) or kind is errors.DeadlineExceeded
    if kind.retry is Retry.LATER:
        assert kind.status in (429, 503) or kind is errors.IdempotencyInProgress
    if kind.retry is Retry.OTHER_ROUTE:
        assert issubclass(kind, UpstreamError)


def test_an_upstream_error_keeps_what_the_provider_said() -> None:
    error = UpstreamError("no", upstream_status=503, upstream_code="busy")
    assert (error.upstream_status, error.upstream_code, error.param, error.retry_after_s) == (503, "busy", None, None)
    assert ClientGone.status == 499
