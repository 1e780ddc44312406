"""The four shapes of a prompt or an embedding input, as one list of texts."""

from typing import cast

from aldgate.core.errors import InvalidRequest


def texts_of(given: str | list[str | int | list[int]], param: str) -> list[str]:
    """One text for each input: a string, some strings, one token list, or some token lists (whose ids become words).

    Raises:
        InvalidRequest: An empty list, or items of several kinds.
    """
    if isinstance(given, str):
        return [given]
    kinds = {type(item) for item in given}
    if len(kinds) != 1 or [] in given:
        raise InvalidRequest(
            f"`{param}` must hold strings, tokens or lists of tokens, all of one kind and none empty.", param=param
        )
    if kinds == {str}:
        return cast(list[str], given)
    lists = [cast(list[int], given)] if kinds == {int} else cast(list[list[int]], given)
    return [" ".join(map(str, tokens)) for tokens in lists]
