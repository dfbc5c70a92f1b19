"""The JSON Schema (2020-12) of the flow language for editors, made from the same table that the checks use.

It says what a file may hold line by line; what takes the whole set (targets, reachability) only the check can say.
`flows/flow.schema.json` is this, written down; a test keeps the two equal.
"""

from collections.abc import Mapping, Sequence

import orjson

from bot.adapters.yaml_flows.language import (
    ACTION_KEYS,
    ATTEMPTS_LIMIT,
    FLOW_KEYS,
    ID_PATTERN,
    LANGUAGE_PATTERN,
    NO_REMINDER,
    REMIND_KEYS,
    REPLY_KEYS,
    SILENCE_LIMIT,
    STEP_KEYS,
    TRIGGER_KEYS,
    VALIDATE_KEYS,
    VALIDATION_TYPES,
    VARIABLE_PATTERN,
    Key,
    Keys,
    Kind,
)

Schema = dict[str, object]

_SCALAR: Schema = {"type": ["string", "number", "boolean"], "minLength": 1}
_ID: Schema = {"type": ["string", "integer"], "pattern": f"^{ID_PATTERN}$"}
_VARIABLE: Schema = {"type": "string", "pattern": f"^{VARIABLE_PATTERN}$"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_KINDS: Mapping[Kind, Schema] = {
    "id": _ID,
    "step": _ID,
    "target": _ID,
    "department": _ID,
    "variable": _VARIABLE,
    "text": _ref("text"),
    "line": _SCALAR,
    "lines": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]},
    "condition": {"type": ["string", "boolean"], "minLength": 1},
    "pattern": _SCALAR,
    "integer": {"type": "integer"},
    "attempts": {"type": "integer", "minimum": 1, "maximum": ATTEMPTS_LIMIT},
    "validate": _ref("validate"),
    "remind": {"anyOf": [_ref("remind"), {"const": NO_REMINDER}]},
    "seconds": {"type": "integer", "minimum": 1, "maximum": SILENCE_LIMIT},
    "validation": {"enum": list(VALIDATION_TYPES)},
    "values": {
        "type": "object",
        "propertyNames": {"pattern": f"^{VARIABLE_PATTERN}$"},
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
    "replies": {"type": "array", "items": _ref("reply"), "minItems": 1},
    "steps": {"type": "array", "items": _ref("step")},
    "triggers": {"type": "array", "items": _ref("trigger")},
    "action": {"enum": list(ACTION_KEYS)},
}


def flow_schema() -> Schema:
    """The schema as a JSON value."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A flow of the WhatsApp support desk",
        **_mapping(FLOW_KEYS),
        "$defs": {
            "text": _text(),
            "step": _one_of_types(STEP_KEYS),
            "trigger": _one_of_types(TRIGGER_KEYS),
            "reply": _reply(),
            "remind": _mapping(REMIND_KEYS),
            "validate": {**_mapping(VALIDATE_KEYS), "minProperties": 1, "maxProperties": 1},
        },
    }


def render_schema() -> str:
    """The schema as the text of `flow.schema.json`."""
    return orjson.dumps(flow_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _text() -> Schema:
    by_language: Schema = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{LANGUAGE_PATTERN}$"},
        "additionalProperties": _SCALAR,
    }
    return {"description": "A template for all languages, or one for each language.", "anyOf": [_SCALAR, by_language]}


def _property(key: Key) -> Schema:
    return {**_KINDS[key.kind], "description": key.about}


def _mapping(keys: Keys, further: Mapping[str, Schema] | None = None, needed: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": {**(further or {}), **{name: _property(key) for name, key in keys.items()}},
        "required": [*needed, *(name for name, key in keys.items() if key.required)],
        "additionalProperties": False,
    }


def _one_of_types(types: Mapping[str, Keys]) -> Schema:
    return {
        "type": "object",
        "properties": {"type": {"enum": list(types)}},
        "required": ["type"],
        "oneOf": [_mapping(keys, {"type": {"const": name}}, ["type"]) for name, keys in types.items()],
    }


def _reply() -> Schema:
    needs_target = [name for name, keys in ACTION_KEYS.items() if "target" in keys]
    return {
        **_mapping(REPLY_KEYS),
        "if": {"properties": {"action": {"enum": needs_target}}, "required": ["action"]},
        "then": {"required": ["target"]},
    }
