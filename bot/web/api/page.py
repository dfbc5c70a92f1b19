"""The OpenAPI document as one page of HTML: no script, nothing from elsewhere, readable in any browser.

Whatever comes from the document is escaped, whoever wrote it. What is long and seldom wanted (examples, errors) is
folded; a browser's own search opens it.
"""

from collections.abc import Iterator
from html import escape
from typing import Any

from bot.web.api.page_style import STYLE
from bot.web.api.samples import laid_out

Json = dict[str, Any]
Rows = list[tuple[str, str, str]]


def page(document: Json) -> str:
    """Every operation by tag, then what the service tells others, then every schema; references are links."""
    title = escape(document["info"]["title"])
    return "\n".join(
        (
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>',
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>',
            '<a class="skip" href="#content">To the operations</a>',
            f'<nav aria-label="Contents">{"".join(_contents(document))}</nav>',
            f'<main id="content"><h1>{title}: API</h1><p>{_prose(document["info"]["description"])}</p>',
            *_operations(document),
            *_told(document),
            '<h2 id="schemas">Schemas</h2>',
            *(_schema(name, schema) for name, schema in document["components"]["schemas"].items()),
            "</main></body></html>",
        )
    )


def _contents(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        name = escape(tag["name"])
        inside = "".join(
            f'<li><a href="#{operation["operationId"]}">{_method(method)} {escape(_short(path))}</a></li>'
            for method, path, operation in _of_tag(document, tag["name"])
        )
        yield f'<section><a class="tag" href="#{_anchor(name)}">{name}</a><ul>{inside}</ul></section>'
    yield '<section><a class="tag" href="#events">Events</a></section>'
    yield '<section><a class="tag" href="#schemas">Schemas</a></section>'
    yield '<section><a class="tag" href="v1/openapi.json">OpenAPI document</a></section>'


def _short(path: str) -> str:
    """Without the prefix that all paths share."""
    return "/" + path.split("/", 3)[-1]


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def _of_tag(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if tag in operation["tags"]:
                yield method, path, operation


def _operations(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        name = escape(tag["name"])
        yield f'<h2 id="{_anchor(name)}">{name}</h2>'
        for method, path, operation in _of_tag(document, tag["name"]):
            yield _operation(method, path, operation)


def _operation(method: str, path: str, operation: Json) -> str:
    asked = [*map(_parameter, operation["parameters"])]
    if "requestBody" in operation:
        asked.append(("body", "", _type(operation["requestBody"]["content"]["application/json"]["schema"])))
    answers = {status: _response(status, response) for status, response in operation["responses"].items()}
    good = [row for status, row in answers.items() if status < "400"]
    bad = [row for status, row in answers.items() if status >= "400"]
    heading = f"{_method(method)} <code>{escape(path)}</code>"
    about = f"{_prose(operation['summary'])} <small>{_prose(operation['description'])}</small>"
    return "".join(
        (
            f'<section class="operation">{_heading(operation["operationId"], heading)}<p>{about}</p>',
            _table("Asked", asked),
            _table("Answered", good),
            *_example(operation, good[0][0] if good else ""),
            _folded(f"Errors: {', '.join(row[0] for row in bad)}", _table("Errors", bad)) if bad else "",
            "</section>",
        )
    )


def _example(operation: Json, status: str) -> Iterator[str]:
    samples = operation.get("x-codeSamples", [])
    for sample in samples:
        said = operation["responses"][status]["content"]["application/json"].get("example")
        call = f"<pre><code>{escape(sample['source'])}</code></pre>"
        answer = f"<p>{escape(status)}</p><pre><code>{escape(laid_out(said))}</code></pre>"
        yield _folded(f"Example with {escape(sample['label'])}", call + answer)


def _told(document: Json) -> Iterator[str]:
    """What is posted to endpoints of outgoing webhooks."""
    yield '<h2 id="events">Events</h2><p>What endpoints of outgoing webhooks are told, as the body of a POST.</p>'
    for kind, operations in document.get("webhooks", {}).items():
        operation = operations["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        rows = [(f"<code>{escape(name)}</code>", "", _type(inside)) for name, inside in body["properties"].items()]
        heading = _heading(operation["operationId"], f"<code>{escape(kind)}</code>")
        about = _prose(operation["summary"])
        yield f'<section class="operation">{heading}<p>{about}</p>{_table("Told", rows)}</section>'


def _method(method: str) -> str:
    return f'<span class="method {escape(method)}">{escape(method.upper())}</span>'


def _heading(anchor: str, inside: str) -> str:
    """A heading that is a link to itself, so that it can be copied."""
    return f'<h3 id="{escape(anchor)}"><a href="#{escape(anchor)}">{inside}</a></h3>'


def _folded(summary: str, inside: str) -> str:
    return f"<details><summary>{summary}</summary>{inside}</details>"


def _parameter(parameter: Json) -> tuple[str, str, str]:
    must = " <em>required</em>" if parameter["required"] and parameter["in"] != "path" else ""
    name = f"<code>{escape(parameter['name'])}</code> ({escape(parameter['in'])}){must}"
    return name, _prose(parameter.get("description", "")), _type(parameter["schema"])


def _response(status: str, response: Json) -> tuple[str, str, str]:
    return escape(status), _prose(response["description"]), _type(response["content"]["application/json"]["schema"])


def _schema(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>{' <em>required</em>' if field in required else ''}",
            _prose(inside.get("description", "")),
            _type(inside),
        )
        for field, inside in schema.get("properties", {}).items()
    ]
    about = _prose(schema.get("description", ""))
    heading = _heading(f"schema-{name}", f"<code>{escape(name)}</code>")
    return f'<section class="operation">{heading}<p>{about}</p>{_table("Fields", rows)}</section>'


def _table(caption: str, rows: Rows) -> str:
    lines = (f'<tr><th scope="row">{first}</th><td>{kind}</td><td>{about}</td></tr>' for first, about, kind in rows)
    return f"<table><caption>{caption}</caption>{''.join(lines)}</table>" if rows else ""


def _type(schema: Json) -> str:
    """The type in a few words, references as links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array" and "items" in schema:
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
