"""The OpenAPI document as one page of HTML: no script, nothing from elsewhere, readable in any browser.

Whatever comes from the document is escaped, whoever wrote it.
"""

from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h3 { margin-top: 2.5rem; font-size: 1.05rem; }
code, .method { font-family: ui-monospace, monospace; font-size: .95em; }
.method { display: inline-block; min-width: 4.5em; font-weight: 700; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
td.wide { width: 55%; }
nav a { margin-right: 1rem; }
""".strip()


def page(document: Json) -> str:
    """Every operation by tag, then every schema; references are links within the page."""
    title = escape(document["info"]["title"])
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>',
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
            f"<h1>{title}: API</h1><p>{_prose(document['info']['description'])}</p>",
            f"<nav>{''.join(_tag_links(document))}</nav>",
            *_operations(document),
            '<h2 id="schemas">Schemas</h2>',
            *(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
            "</body></html>",
        )
    )


def _tag_links(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        yield f'<a href="#{escape(tag["name"])}">{escape(tag["name"])}</a>'
    yield '<a href="#schemas">Schemas</a><a href="v1/openapi.json">OpenAPI document</a>'


def _operations(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        yield f'<h2 id="{escape(tag["name"])}">{escape(tag["name"])}</h2>'
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    yield _operation(method, path, operation)


def _operation(method: str, path: str, operation: Json) -> str:
    rows = [*map(_parameter, operation["parameters"])]
    if "requestBody" in operation:
        rows.append(("body", "", _type(operation["requestBody"]["content"]["application/json"]["schema"])))
    answers = [_response(status, response) for status, response in operation["responses"].items()]
    heading = f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code>'
    summary = _prose(operation["summary"])
    return f'<h3 id="{operation["operationId"]}">{heading}</h3><p>{summary}</p>{_table(rows)}{_table(answers)}'


def _parameter(parameter: Json) -> tuple[str, str, str]:
    name = f"<code>{escape(parameter['name'])}</code> ({parameter['in']})"
    return name, _prose(parameter.get("description", "")), _type(parameter["schema"])


def _response(status: str, response: Json) -> tuple[str, str, str]:
    return status, _prose(response["description"]), _type(response["content"]["application/json"]["schema"])


def _schema(name: str, schema: Json) -> str:
    rows = [
        (f"<code>{escape(field)}</code>", _prose(inside.get("description", "")), _type(inside))
        for field, inside in schema.get("properties", {}).items()
    ]
    about = _prose(schema.get("description", ""))
    return f'<h3 id="schema-{escape(name)}"><code>{escape(name)}</code></h3><p>{about}</p>{_table(rows)}'


def _table(rows: list[tuple[str, str, str]]) -> str:
    lines = (f'<tr><td>{first}</td><td class="wide">{about}</td><td>{kind}</td></tr>' for first, about, kind in rows)
    return f"<table>{''.join(lines)}</table>" if rows else ""


def _type(schema: Json) -> str:
    """The type in a few words, references as links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}"
    return " ".join((escape(str(schema.get("format") or schema.get("type", "anything"))), *_bounds(schema)))


def _bounds(schema: Json) -> Iterator[str]:
    if "minimum" in schema or "maximum" in schema:
        yield f"{schema.get('minimum', '')} to {schema.get('maximum', '')}"
    if "maxLength" in schema:
        yield f"of at most {schema['maxLength']} characters"
    if schema.get("default", "") != "":
        yield f"[{escape(str(schema['default']))}]"


def _prose(text: str) -> str:
    """Escaped text, with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
