"""Log lines: one JSON object each, or text for eyes; both with the fields that were given."""

import logging
import sys
from collections.abc import Iterator

import orjson
import pytest

from bot import logs


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def line_of(capsys: pytest.CaptureFixture[str], form: str) -> str:
    logs.configure(form=form, level="info", replica="blue")
    logger = logging.getLogger("bot.test")
    logger.debug("too quiet")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it %s", "broke", extra={"customer": 7, "odd": {1}, "name_": None})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "too quiet" not in captured.err
    return captured.err


def test_a_json_line_has_time_level_message_fields_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = line_of(capsys, "json").splitlines()
    said = orjson.loads(line)
    assert said["time"].endswith("+00:00")
    assert (said["level"], said["logger"], said["message"]) == ("error", "bot.test", "it broke")
    assert (said["replica"], said["customer"], said["odd"], said["name_"]) == ("blue", 7, "{1}", None)
    assert "ValueError: why" in said["traceback"]


def test_a_text_line_is_for_eyes(capsys: pytest.CaptureFixture[str]) -> None:
    first, *rest = line_of(capsys, "text").splitlines()
    assert first[8:] == " error   it broke customer=7 odd={1} name_=None"
    assert rest[-1] == "ValueError: why"


def test_without_a_problem_there_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "text"):
        logs.configure(form=form, level="info", replica="blue")
        logging.getLogger("bot.test").info("well")
        line = capsys.readouterr().err
        assert "raceback" not in line
        assert "well" in line


def test_what_is_not_unicode_is_logged_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(form="json", level="info", replica="blue")
    logging.getLogger("bot.test").info("odd", extra={"text": "a\ud800b", "many": 2**70})
    assert orjson.loads(capsys.readouterr().err)["message"] == "odd"
    assert sys.exc_info() == (None, None, None)


def test_no_text_forges_a_line_or_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(form="text", level="info", replica="blue")
    forged = "a\n12:00:00 error   all is lost\r\x1b[2J\u2028\u202e\x85\ud800 \U0001f600"
    logging.getLogger("bot.test").info("%s", forged, extra={"said": forged})
    (line,) = capsys.readouterr().err.splitlines()
    shown = "a\\n12:00:00 error   all is lost\\r\\x1b[2J\\u2028\\u202e\\x85\\ud800 \U0001f600"
    assert line[8:] == f" info    {shown} said={shown}"
