r"""The `.env` format, as the dotenv libraries read it.

`NAME=value` lines, `export ` before them allowed, `#` comments, single quotes (literal) and double quotes (with `\n`, `\r`,
`\t`, `\"`, `\\`, `\$`); a quoted value may go over several lines. `$NAME` is not expanded. The last of two equal names counts.
"""

import re
from pathlib import Path

from aldgate.config.errors import ConfigError

_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)", re.DOTALL)
_CLOSED = {"'": re.compile(r"'([^']*)'(.*)", re.DOTALL), '"': re.compile(r'"((?:[^"\\]|\\.)*)"(.*)', re.DOTALL)}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*", re.DOTALL)


def read_dotenv(path: Path) -> dict[str, str]:
    """The names in the file at `path`; none if there is no such file.

    Raises:
        ConfigError: It cannot be read, or a line is not an assignment.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: is not UTF-8 text", hint="save the file as UTF-8") from None
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise ConfigError(f"{path}: {reason}", hint="make the file readable, or remove it") from None
    return parse_dotenv(text, str(path))


def parse_dotenv(text: str, name: str) -> dict[str, str]:
    """The names in `text`.

    Args:
        text: The content of the file.
        name: What to call the file in an error.

    Raises:
        ConfigError: Names the line; never shows its value.
    """
    values: dict[str, str] = {}
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        begun = line.lstrip()  # what stands at its end may belong to a quoted value that goes on
        if not begun or begun.startswith("#"):
            continue
        where = f"{name}, line {number}"
        assignment = _ASSIGNMENT.fullmatch(begun)
        if assignment is None:
            raise ConfigError(f"{where}: is not an assignment", hint="write `NAME=value`, or put `#` in front of a comment")
        value = assignment[2]
        if value[:1] in _CLOSED:
            while _CLOSED[value[0]].fullmatch(value) is None:
                following = next(lines, None)
                if following is None:
                    raise ConfigError(f"{where}: its quote is never closed", hint=f"end the value with {value[0]}")
                value += "\n" + following[1]
            values[assignment[1]] = _unquote(value, where)
        else:
            values[assignment[1]] = _COMMENT.sub("", value).rstrip()
    return values


def _unquote(value: str, where: str) -> str:
    quote = value[0]
    closed = _CLOSED[quote].fullmatch(value)
    assert closed is not None
    inner, rest = closed.groups()
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise ConfigError(f"{where}: something follows the closing quote", hint=f"write {quote} within the value differently")
    return inner if quote == "'" else _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), inner)
