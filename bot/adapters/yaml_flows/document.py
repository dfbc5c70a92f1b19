"""YAML as blocks that know their lines. What is read here is bounded and plain: one document, no aliases, no key twice.

Scalars are read as they are written, so that `yes` and `1` in a text are a word and a digit and not a truth value and a
number; only `set` looks at what YAML takes them for.
"""

import re

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bot.adapters.yaml_flows.language import LANGUAGE_PATTERN, Keys
from bot.adapters.yaml_flows.problems import Report, suggestion
from bot.core.flow import Localised, Scalar
from bot.core.template import literal_length

FILE_LIMIT = 256 * 1024
"""Bytes of one file."""
DEPTH_LIMIT = 40
"""Blocks inside blocks."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LANGUAGE = re.compile(LANGUAGE_PATTERN)
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}\.[0-9]{1,15}")
"""Anything else that YAML calls a number, such as 007 or 10:30, is a text here."""
_TAG = "tag:yaml.org,2002:"


class _Refused(yaml.YAMLError):
    """YAML that is not taken here, at the line of an event."""

    def __init__(self, problem: str, event: yaml.Event) -> None:
        super().__init__(problem)
        self.line = int(event.start_mark.line) + 1 if event.start_mark else 1


class Block:
    """A mapping of the file. Reading a key that is absent or of another form notes the problem and gives a default."""

    def __init__(self, node: MappingNode, report: Report, step: str = "") -> None:
        self.report = report
        self.step = step
        self.line = _line(node)
        self.entries: dict[str, Node] = {}
        self.lines: dict[str, int] = {}
        for key, value in node.value:
            self._enter(key, value)

    def _enter(self, key: Node, value: Node) -> None:
        if not isinstance(key, ScalarNode):
            self.report.error(_line(key), "a key must be a word", self.step)
        elif key.value in self.entries:
            self.report.error(_line(key), f"{key.value!r} stands here twice; remove one", self.step)
        else:
            self.entries[key.value] = value
            self.lines[key.value] = _line(key)

    def error(self, message: str, key: str = "") -> None:
        self.report.error(self.lines.get(key, self.line), message, self.step)

    def warn(self, message: str, key: str = "") -> None:
        self.report.warn(self.lines.get(key, self.line), message, self.step)

    def refuse_unknown(self, known: Keys, what: str) -> None:
        """Note every key that is not in `known`, and every required one that is missing."""
        for key in self.entries:
            if key not in known and not self.report.full:
                self.error(f"{what} has no key {key!r}; {suggestion(key, known)}", key)
        for key, meaning in known.items():
            if meaning.required and key not in self.entries:
                self.error(f"{what} needs {key!r}: {meaning.about}")

    def string(self, key: str, default: str = "") -> str:
        """The scalar under `key`, as it is written."""
        node = self.entries.get(key)
        if node is None:
            return default
        if isinstance(node, ScalarNode) and node.value.strip():
            return str(node.value)
        self.error(f"{key!r} must be a text that is not empty", key)
        return default

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        node = self.entries.get(key)
        if node is None:
            return default
        if isinstance(node, ScalarNode) and re.fullmatch(r"-?\d{1,9}", node.value) and low <= int(node.value) <= high:
            return int(node.value)
        self.error(f"{key!r} must be a whole number from {low} to {high}", key)
        return default

    def strings(self, key: str) -> tuple[str, ...]:
        """The scalars of the list under `key`; a single scalar is a list of one."""
        node = self.entries.get(key)
        if node is None:
            return ()
        items = node.value if isinstance(node, SequenceNode) else [node]
        if items and all(isinstance(item, ScalarNode) and item.value.strip() for item in items):
            return tuple(item.value for item in items)
        self.error(f"{key!r} must be a list of texts that are not empty", key)
        return ()

    def is_empty_list(self, key: str) -> bool:
        node = self.entries.get(key)
        return isinstance(node, SequenceNode) and not node.value

    def word(self, key: str) -> str:
        """The scalar under `key`; empty when there is none, without a complaint."""
        node = self.entries.get(key)
        return str(node.value) if isinstance(node, ScalarNode) else ""

    def block(self, key: str) -> "Block | None":
        node = self.entries.get(key)
        if node is None:
            return None
        if isinstance(node, MappingNode):
            return Block(node, self.report, self.step)
        self.error(f"{key!r} must be a mapping", key)
        return None

    def blocks(self, key: str, *, may_be_empty: bool = False) -> tuple["Block", ...]:
        """The mappings of the list under `key`."""
        node = self.entries.get(key)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode) or not (node.value or may_be_empty):
            self.error(f"{key!r} must be a list with at least one entry", key)
            return ()
        for item in node.value:
            if not isinstance(item, MappingNode):
                self.report.error(_line(item), f"each entry of {key!r} must be a mapping", self.step)
        return tuple(Block(item, self.report, self.step) for item in node.value if isinstance(item, MappingNode))

    def text(self, key: str, limit: int) -> Localised:
        """The text under `key`, for all languages or by language, each of at most `limit` characters of its own."""
        node = self.entries.get(key)
        if node is None:
            return {}
        found = self._by_language(node, key) if isinstance(node, MappingNode) else {"": self.string(key)}
        for language, text in found.items():
            if literal_length(text) > limit:
                named = f" in {language!r}" if language else ""
                self.error(f"{key!r}{named} has {literal_length(text)} characters; WhatsApp takes {limit}", key)
        return {language: text for language, text in found.items() if text}

    def _by_language(self, node: MappingNode, key: str) -> Localised:
        inner = Block(node, self.report, self.step)
        for language in inner.entries:
            if not _LANGUAGE.fullmatch(language):
                inner.error(f"{language!r} is not a language code such as en or hi", language)
        if not inner.entries:
            self.error(f"{key!r} must be a text that is not empty", key)
        self.report.languages.append((self.lines[key], self.step, frozenset(inner.entries)))
        return {language: inner.string(language) for language in inner.entries}

    def scalars(self, key: str) -> dict[str, Scalar]:
        """The mapping under `key` with its values as YAML takes them: text, number or truth value."""
        inner = self.block(key)
        if inner is None:
            return {}
        values = {name: _scalar(node) for name, node in inner.entries.items()}
        for name, value in values.items():
            if value is None:
                inner.error(f"{name!r} must be a text, a number, true or false", name)
        return {name: value for name, value in values.items() if value is not None}


def read_document(source: str, report: Report) -> Block | None:
    """The mapping that `source` holds; None when there is none, with the reason in `report`."""
    if len(source.encode()) > FILE_LIMIT:
        report.error(1, f"the file is larger than {FILE_LIMIT // 1024} KiB; split it into several flows")
        return None
    try:
        _refuse_dangerous(source)
        node = yaml.compose(source, _LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report.error(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
        return None
    except _Refused as error:
        report.error(error.line, str(error))
        return None
    except yaml.YAMLError as error:
        report.error(1, f"not YAML: {str(error).splitlines()[0]}")
        return None
    if isinstance(node, MappingNode):
        return Block(node, report)
    report.error(_line(node) if node else 1, "the file must hold a mapping, such as `flow_id: ...`")
    return None


def _refuse_dangerous(source: str) -> None:
    """Raise for aliases (which can make a small file huge) and for nesting that no reader needs."""
    depth = 0
    for event in yaml.parse(source, _LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("aliases are not taken here; write the block out", event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_LIMIT:
            raise _Refused(f"more than {DEPTH_LIMIT} blocks inside each other", event)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: Node) -> Scalar | None:
    if not isinstance(node, ScalarNode):
        return None
    text = str(node.value)
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool" if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        case "int" if _WHOLE.fullmatch(text):
            return int(text)
        case "float" if _DECIMAL.fullmatch(text):
            return float(text)
        case _:
            return text
