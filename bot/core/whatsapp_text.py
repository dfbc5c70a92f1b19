"""Markdown, as models write it, to what WhatsApp shows: `*bold*`, `_italic_`, `~struck~`, ``` ```mono``` ```.

WhatsApp has no headings, links with a title, tables or rules; left as they are they reach the customer as punctuation.
One asterisk around words is left alone: it is WhatsApp's bold, which models are asked for. What stands between code
fences is not touched. Every rule takes time linear in the text, whatever a model writes.
"""

import re

_CODE_LANGUAGE = re.compile(r"^[\w+-]*\n")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\ufeff]")
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}#{1,6} +(\S.*)$")
_RULE = re.compile(r"^ {0,3}(?:-{3,}|\*{3,}|_{3,}|={3,}) *$")
_BULLET = re.compile(r"^( {0,12})[*+•] +(?=\S)")
_TABLE_RULE = re.compile(r"^[\s|:-]+$")
_BOLD_ITALIC = re.compile(r"\*\*\*(?=\S)([^*\n]{1,1000})(?<=\S)\*\*\*")
_BOLD = re.compile(r"\*\*(?=\S)([^*\n]{1,1000})(?<=\S)\*\*|(?<!\w)__(?=\S)([^_\n]{1,1000})(?<=\S)__(?!\w)")
_STRUCK = re.compile(r"~~(?=\S)([^~\n]{1,1000})(?<=\S)~~")
_LINK = re.compile(
    r"!?\[([^\[\]\n]{0,500})\]\(<?([^\s()<>]{1,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,500})?)>?[^()\n]{0,200}\)"
)
_AUTOLINK = re.compile(r"<((?:https?://|mailto:|tel:)[^\s<>]{1,2000})>")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+.!|~>-])")
_BLANK_LINES = re.compile(r"\n{3,}")
_SCHEMES = ("mailto:", "tel:")


def to_whatsapp(markdown: str) -> str:
    """The same words in WhatsApp's formatting, without control characters and surplus blank lines."""
    plain = _CONTROL.sub("", markdown.replace("\r\n", "\n").replace("\r", "\n"))
    pieces = plain.split("```")
    converted = [_CODE_LANGUAGE.sub("", piece) if index % 2 else _prose(piece) for index, piece in enumerate(pieces)]
    return _BLANK_LINES.sub("\n\n", "```".join(converted)).strip()


def _prose(text: str) -> str:
    lines = [_line(line.rstrip(" \t")) for line in _without_tables(_BREAK.sub("\n", text).split("\n"))]
    kept = "\n".join(line for line in lines if line is not None)
    return f"{kept} " if text.endswith(" ") and kept else kept


def _line(line: str) -> str | None:
    """One line converted; None for a horizontal rule."""
    if _RULE.match(line):
        return None
    if heading := _HEADING.match(line):
        return f"*{_spans(heading[1].rstrip(' #')).strip('*_ ')}*"
    return _spans(_BULLET.sub(r"\1- ", line))


def _spans(line: str) -> str:
    linked = _AUTOLINK.sub(lambda link: _address(link[1]), _LINK.sub(_link, line))
    bold = _BOLD.sub(lambda found: f"*{found[1] or found[2]}*", _BOLD_ITALIC.sub(r"*_\1_*", linked))
    return _ESCAPED.sub(r"\1", _STRUCK.sub(r"~\1~", bold))


def _link(found: re.Match[str]) -> str:
    title, address = found[1].strip(), _address(found[2])
    return address if title in {"", address, found[2]} else f"{title}: {address}"


def _address(target: str) -> str:
    for scheme in _SCHEMES:
        target = target.removeprefix(scheme)
    return target


def _without_tables(lines: list[str]) -> list[str]:
    """Each table row becomes a line: `- first: second`, or with more columns `- first, Heading: second, ...`."""
    out: list[str] = []
    heads: list[str] = []
    for index, line in enumerate(lines):
        if not _is_table_line(line):
            heads = []
            out.append(line)
        elif _is_rule(line):
            continue
        elif index + 1 < len(lines) and _is_rule(lines[index + 1]):
            heads = _cells(line)
        else:
            out.append(_row(heads, _cells(line)))
    return out


def _is_table_line(line: str) -> bool:
    bare = line.strip()
    return len(bare) > 2 and bare.startswith("|") and bare.endswith("|")


def _is_rule(line: str) -> bool:
    return "|" in line and "-" in line and _TABLE_RULE.match(line) is not None


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _row(heads: list[str], cells: list[str]) -> str:
    if len(cells) == 2:
        return f"- {cells[0]}: {cells[1]}"
    named = [f"{head}: {cell}" for head, cell in zip(heads[1:], cells[1:], strict=False) if cell]
    return "- " + ", ".join([cells[0], *(named or cells[1:])])
