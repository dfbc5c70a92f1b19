"""Bytes of `POST /chat/completions` to a verdict: an answer that may be shown, or a failure with its row of the table.

`read_answer` is total: no status, header or body makes it raise. HTTP 200 proves nothing: an error may stand at the top
of the body or in the first choice, `choices` may be null or empty, a finish may be an error, the text may be missing.
Text counts as an answer only when it is there, is no error's leftover, and is not the model's reasoning.
"""

import re
from collections.abc import Mapping

from bot.core.messages import Value
from bot.wire.openrouter import untrusted
from bot.wire.openrouter.errors import affordable_tokens, kind_of, kind_of_status, read_error
from bot.wire.openrouter.failures import Failure, FailureKind
from bot.wire.openrouter.pricing import Usage, read_usage
from bot.wire.openrouter.redaction import safe_reason
from bot.wire.openrouter.waits import retry_after

_THOUGHT_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_SPOKEN_PARTS = frozenset({"", "text", "output_text"})


class Answer(Value, frozen=True, kw_only=True):
    """What a model said. `model` and `provider` are who ran; `finish_reason` is `length` when it was cut short."""

    text: str
    model: str = ""
    provider: str = ""
    finish_reason: str = ""
    generation_id: str = ""
    usage: Usage | None = None


Verdict = Answer | Failure


class _Facts(Value, frozen=True, kw_only=True):
    """What answers and failures both carry."""

    status: int
    model: str = ""
    provider: str = ""
    generation_id: str = ""
    usage: Usage | None = None
    retry_after: float | None = None


def read_answer(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> Verdict:
    """The verdict on one HTTP answer. `now` is unix seconds, for a `Retry-After` that is a date."""
    fields = {name.lower(): value for name, value in headers.items()}
    decoded = untrusted.decoded(body)
    if not isinstance(decoded, dict):
        return _not_an_object(status, fields, body, now)
    document = _unwrapped(decoded)
    error = _error_in(document, status)
    facts = _facts(status, fields, document, error, now)
    if error is not None:
        return _failed(facts, error)
    return _completed(facts, document)


def _not_an_object(status: int, fields: Mapping[str, str], body: bytes, now: float) -> Failure:
    """Blank, HTML, cut JSON: nothing but the status speaks. A 4xx that is not JSON does not come from OpenRouter."""
    kind: FailureKind
    if 200 <= status < 300:
        kind = "malformed" if body.strip() else "empty"
    elif status in {408, 429} or status >= 500:
        kind = kind_of_status(status)
    else:
        kind = "invalid" if status == 413 else "blocked"
    return Failure(
        kind=kind,
        reason=f"{status} with {len(body)} bytes that are not a JSON object",
        status=status,
        retry_after=retry_after(fields, {}, now),
        generation_id=fields.get("x-generation-id", ""),
    )


def _unwrapped(document: Mapping[str, object]) -> Mapping[str, object]:
    """Some completions arrived inside `provider`, with nulls in their own place (pydantic-ai issue 3994)."""
    inner = untrusted.mapping(document.get("provider"))
    return inner if inner.get("choices") and not document.get("choices") else document


def _error_in(document: Mapping[str, object], status: int) -> Mapping[str, object] | None:
    for error in (document.get("error"), _first_choice(document).get("error")):
        if isinstance(error, str) and error:
            return {"message": error}
        if isinstance(error, dict) and error:
            return error
    return None if 200 <= status < 300 else document


def _facts(
    status: int,
    fields: Mapping[str, str],
    document: Mapping[str, object],
    error: Mapping[str, object] | None,
    now: float,
) -> _Facts:
    return _Facts(
        status=status,
        model=untrusted.text(document.get("model")),
        provider=untrusted.text(document.get("provider")),
        generation_id=untrusted.text(document.get("id")) or fields.get("x-generation-id", ""),
        usage=read_usage(document.get("usage")),
        retry_after=None if error is None else retry_after(fields, error, now),
    )


def _failed(facts: _Facts, error: Mapping[str, object]) -> Failure:
    body = read_error(error, facts.status)
    return Failure(
        kind=kind_of(body),
        reason=safe_reason(body, error),
        status=body.status or facts.status,
        retry_after=facts.retry_after,
        max_tokens=affordable_tokens(body),
        model=facts.model,
        provider=body.provider or facts.provider,
        generation_id=facts.generation_id,
        usage=facts.usage,
    )


def _completed(facts: _Facts, document: Mapping[str, object]) -> Verdict:
    choice = _first_choice(document)
    message = untrusted.mapping(choice.get("message"))
    said = spoken(message.get("content"))
    finish = untrusted.text(choice.get("finish_reason"))
    kind = _missing(finish, said, untrusted.text(message.get("refusal")))
    if kind is None:
        return Answer(
            text=said,
            model=facts.model,
            provider=facts.provider,
            finish_reason=finish,
            generation_id=facts.generation_id,
            usage=facts.usage,
        )
    return Failure(
        kind=kind,
        reason=_why_missing(facts.status, finish, choice),
        status=facts.status,
        model=facts.model,
        provider=facts.provider,
        generation_id=facts.generation_id,
        usage=facts.usage,
    )


def _missing(finish: str, said: str, refusal: str) -> FailureKind | None:
    if finish == "error":
        return "down"
    if finish == "content_filter" or (refusal and not said):
        return "moderated"
    if said:
        return None
    return "starved" if finish == "length" else "empty"


def _why_missing(status: int, finish: str, choice: Mapping[str, object]) -> str:
    if not choice:
        return f"{status} without choices"
    native = untrusted.text(choice.get("native_finish_reason"))
    return f"{status} without an answer, finish {finish[:40] or 'unknown'} ({native[:40] or 'unknown'})"


def spoken(content: object) -> str:
    """The text meant for a reader in `content`, a string or a list of parts, without thinking aloud."""
    if isinstance(content, str):
        return _without_thoughts(content)
    parts = (untrusted.mapping(part) for part in untrusted.items(content))
    spoken_parts = (part for part in parts if untrusted.text(part.get("type")) in _SPOKEN_PARTS)
    return _without_thoughts("".join(untrusted.text(part.get("text")) for part in spoken_parts))


def _without_thoughts(said: str) -> str:
    """Open models put reasoning into the text, and their templates or limits may lose one of its two tags.

    Without the end, all that follows is reasoning; without the beginning, all that went before was.
    """
    kept: list[str] = []
    position, thinking = 0, False
    for tag in _THOUGHT_TAG.finditer(said):
        closing = bool(tag[1])
        if closing and not thinking:
            kept.clear()
        elif not thinking:
            kept.append(said[position : tag.start()])
        position, thinking = tag.end(), not closing
    return "".join(kept if thinking else [*kept, said[position:]]).strip()


def _first_choice(document: Mapping[str, object]) -> Mapping[str, object]:
    choices = untrusted.items(document.get("choices"))
    return untrusted.mapping(choices[0]) if choices else {}
