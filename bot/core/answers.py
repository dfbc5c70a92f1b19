"""A customer's answer to an `input` step: the value it stands for, or nothing when it is not what was asked.

Digits of every script count as digits, so that an answer typed on a Hindi keyboard is as good as any. The whole answer
must fit, never a part of it.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import assert_never

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from bot.core.flow import Pattern, Scalar, Validation
from bot.core.words import ascii_digits, fold

PHONE_REGION = "IN"
"""The country of a telephone number that is written without a country code (ISO 3166)."""
ANSWER_LIMIT = 4096
"""Characters kept of an answer: the longest text WhatsApp lets anybody write."""
_DIGITS_LIMIT = 15
"""Digits of a number that a float holds exactly."""

_NUMBER = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{2,3})*,\d{3})(?:\.\d+)?")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})")
_MONTH_NAMED = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[ -]?([^\d\s,.]+)[.,]?[ -]?(\d{4})")
_MONTHS = (
    ("january", "jan", "जनवरी"),
    ("february", "feb", "फ़रवरी", "फरवरी"),
    ("march", "mar", "मार्च"),
    ("april", "apr", "अप्रैल"),
    ("may", "मई"),
    ("june", "jun", "जून"),
    ("july", "jul", "जुलाई"),
    ("august", "aug", "अगस्त"),
    ("september", "sep", "sept", "सितंबर", "सितम्बर"),
    ("october", "oct", "अक्टूबर", "अक्तूबर"),
    ("november", "nov", "नवंबर", "नवम्बर"),
    ("december", "dec", "दिसंबर", "दिसम्बर"),
)
_MONTH_NUMBER: Mapping[str, int] = {fold(name): number for number, names in enumerate(_MONTHS, 1) for name in names}


def accepted(answer: str, validation: Validation | None) -> Scalar | None:
    """The value to store: a number for `number`, ISO 8601 for `date`, E.164 for `phone`, else the text itself.

    None when the answer is blank or does not fit.
    """
    text = answer.strip()[:ANSWER_LIMIT]
    if not text:
        return None
    if validation is None:
        return answer[:ANSWER_LIMIT]
    if validation.pattern is not None:
        return _fitting(text, validation.pattern)
    match validation.type:
        case "email":
            return _email(text)
        case "phone":
            return _phone(ascii_digits(text))
        case "number":
            return _number(ascii_digits(text))
        case "date":
            return _date(fold(text))
        case "":
            return text
        case _:
            assert_never(validation.type)


def _fitting(text: str, pattern: Pattern) -> str | None:
    return next((form for form in (text, ascii_digits(text)) if pattern.fullmatch(form)), None)


def _email(text: str) -> str | None:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def _phone(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, PHONE_REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _number(text: str) -> Scalar | None:
    digits = text.replace(",", "")
    if not _NUMBER.fullmatch(text) or sum(map(str.isdigit, digits)) > _DIGITS_LIMIT:
        return None
    return float(digits) if "." in digits else int(digits)


def _date(text: str) -> str | None:
    if found := _ISO.fullmatch(text):
        return _iso(found[1], int(found[2]), found[3])
    if found := _DAY_FIRST.fullmatch(text):
        return _iso(found[4], int(found[3]), found[1])
    if found := _MONTH_NAMED.fullmatch(text):
        return _iso(found[3], _MONTH_NUMBER.get(found[2], 0), found[1])
    return None


def _iso(year: str, month: int, day: str) -> str | None:
    try:
        return date(int(year), month, int(day)).isoformat()
    except ValueError:
        return None
