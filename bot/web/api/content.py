"""What a caller wants sent, as the core's value: a text, or an approved template."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.core.messages import Outbound, Template, TemplatePart, Text
from bot.web.api.asked import TemplateAsked
from bot.web.errors import invalid


class Content(Protocol):
    """A body that says what is to be sent."""

    @property
    def message(self) -> str | None: ...

    @property
    def template(self) -> TemplateAsked | None: ...


def content_of(body: Content) -> Outbound:
    """Raise a 400 unless exactly one of `message` and `template` is there."""
    match body.message, body.template:
        case str(text), None:
            return Text(text=text)
        case None, TemplateAsked() as template:
            return _template(template)
        case _:
            raise invalid(message="Give either `message` or `template`.")


def _template(asked: TemplateAsked) -> Template:
    parts = tuple(TemplatePart(key=key, value=value) for key, value in named_variables(asked.variables).items())
    return Template(name=asked.name, language=asked.language, parts=parts, namespace=asked.namespace)


def named_variables(given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """By MSG91's names; a list is `body_1`, `body_2` and so on."""
    if isinstance(given, Mapping):
        return dict(given)
    return {f"body_{place}": value for place, value in enumerate(given, 1)}
