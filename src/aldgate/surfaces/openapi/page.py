"""The OpenAPI document as one page to read: no script, nothing loaded from anywhere, so that it is the same without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, th { font-family: ui-monospace, monospace; font-size: .9em }
summary { cursor: pointer; padding: .3rem 0 } summary b { display: inline-block; width: 5rem }
details, section { border-top: 1px solid #8886; padding: .2rem 0 } details > div { padding: 0 0 .5rem 1.5rem }
table { border-collapse: collapse } th, td { text-align: left; vertical-align: top; padding: .1rem 1rem .1rem 0 }
th { font-weight: normal; white-space: nowrap } h3 { font-size: 1rem; margin: .5rem 0 0 } p { margin: .2rem 0 }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Lets the page's own style through and nothing else."""
_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")

Node = Mapping[str, Any]


def reference_page(document: Node) -> bytes:
    """The page of an OpenAPI 3.1 document: every path with its parameters, bodies and statuses, then every schema."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    lines = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>{title}</h1><p>{escape(info['description'])}",
        'The same for programs: <a href="/openapi.json"><code>/openapi.json</code></a>.</p><h2>Paths</h2>',
    ]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += _operation(method.upper(), path, operation)
    lines.append("<h2>Schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        lines += _schema(name, schema)
    return "\n".join([*lines, "</body></html>\n"]).encode()


def _operation(method: str, path: str, operation: Node) -> Iterator[str]:
    anchor = escape(operation["operationId"])
    summary = escape(operation["summary"])
    yield f'<details id="{anchor}"><summary><b>{method}</b> <code>{escape(path)}</code> {summary}</summary><div>'
    yield f"<p>{'Needs a key.' if operation['security'] else 'Open to everybody.'}</p>"
    if operation.get("parameters"):
        yield "<h3>Parameters</h3><table>"
        for each in operation["parameters"]:
            must = ", required" if each.get("required") else ""
            yield _row(each["name"], f"{_kind(each['schema'])} in the {escape(each['in'])}{must}")
        yield "</table>"
    if "requestBody" in operation:
        yield f"<h3>Body</h3><p>{_content(operation['requestBody'])}</p>"
    yield "<h3>Answers</h3><table>"
    statuses: dict[str, list[str]] = {}
    for status, answer in operation["responses"].items():
        text = f"{escape(answer['description'])}{': ' if 'content' in answer else ''}{_content(answer)}"
        statuses.setdefault(text, []).append(status)
    for text, same in statuses.items():
        yield _row(" ".join(same), text)
    yield "</table></div></details>"


def _content(node: Node) -> str:
    """What a body may be, by media type."""
    kinds = node.get("content", {})
    return "; ".join(f"<code>{escape(kind)}</code> {_kind(media.get('schema', {}))}".rstrip() for kind, media in kinds.items())


def _schema(name: str, schema: Node) -> Iterator[str]:
    name = escape(name)
    yield f'<section id="schema-{name}"><h3><code>{name}</code></h3><p>{escape(schema.get("description", ""))}</p>'
    if "properties" not in schema:
        yield f"<p>{_kind(schema)}</p>"
    else:
        yield "<table>"
        required = schema.get("required", ())
        for field, part in schema["properties"].items():
            default = part.get("default")
            notes = (
                ["required"]
                if field in required
                else []
                if default is None
                else [f"else <code>{escape(json.dumps(default))}</code>"]
            )
            yield _row(field, ", ".join([_kind(part), *notes]))
        yield "</table>"
    yield "</section>"


def _row(name: str, text: str) -> str:
    return f"<tr><th>{escape(name)}</th><td>{text}</td></tr>"


def _kind(schema: Node) -> str:
    """What a value may be, in words; schemas with a name are links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "enum" in schema or "const" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    for joined in ("anyOf", "oneOf"):
        if joined in schema:
            return " or ".join(_kind(part) for part in schema[joined])
    kind = schema.get("type", "")
    kinds = [kind] if isinstance(kind, str) else kind
    text = escape(" or ".join(kinds))
    inner = schema.get("items") if kind == "array" else schema.get("additionalProperties")
    if isinstance(inner, Mapping) and inner:
        text += f" of {_kind(inner)}"  # pyright: ignore[reportUnknownArgumentType] - JSON
    bounds = [f"{name} <code>{escape(str(schema[name]))}</code>" for name in _BOUNDS if name in schema]
    text += f" ({', '.join(bounds)})" if bounds else ""
    return text + (f": {escape(schema['description'])}" if "description" in schema and "properties" not in schema else "")
