"""What a caller wants sent, as the core's value: a text, or an approved template."""

from bot.core.messages import Outbound, Template, TemplatePart, Text
from bot.web.api.asked import MessageAsked, ReplyAsked, TemplateAsked
from bot.web.errors import invalid


def content_of(body: ReplyAsked | MessageAsked) -> Outbound:
    """Raise a 400 unless exactly one of `message` and `template` is there."""
    match body.message, body.template:
        case str(text), None:
            return Text(text=text)
        case None, TemplateAsked() as template:
            return _template(template)
        case _:
            raise invalid(message="Give either `message` or `template`.")


def _template(asked: TemplateAsked) -> Template:
    given = asked.variables
    named = given if isinstance(given, dict) else {f"body_{place}": value for place, value in enumerate(given, 1)}
    parts = tuple(TemplatePart(key=key, value=value) for key, value in named.items())
    return Template(name=asked.name, language=asked.language, parts=parts, namespace=asked.namespace)
