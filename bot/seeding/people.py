"""Invented customers under numbers that belong to nobody.

- `+44 7700 900000` to `900999`: Ofcom keeps them for drama.
- `+1 XXX 555 0100` to `0199`: the North American plan keeps them for fiction, in every area.
- India keeps no such range, so its customers have a `0` behind the country code: that digit is the trunk prefix, and
  no subscriber's number begins with it. Twelve digits, like a real one.
"""

from random import Random
from typing import Final

from bot.core.messages import Value

_HINDI_SHARE: Final = 0.35
_ABROAD_SHARE: Final = 0.06
_NAMELESS_SHARE: Final = 0.08
_OPTED_OUT_SHARE: Final = 0.015
_INDIA: Final = "910{:09d}"
_AREAS: Final = (212, 312, 415, 617, 713, 206, 305, 408, 510, 646, 702, 818, 919, 972)


def _split(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_GIVEN: Final = _split(
    """
    Aarav Aditi Amit Ananya Anil Anjali Arjun Asha Deepak Deepika Divya Farhan Fatima Gaurav Harpreet Imran Ishaan Jaya
    Karthik Kavita Kiran Lakshmi Manish Meera Mohammed Neha Nikhil Nisha Pooja Pradeep Priya Rahul Rajesh Rekha Ritu
    Rohan Sana Sandeep Sangeeta Sanjay Shreya Simran Sneha Sunita Suresh Tanvi Vijay Vikram Vivek Zoya
    """
)
_FAMILY: Final = _split(
    """
    Agarwal Ahmed Bansal Bhatt Chatterjee Chopra Das Desai Fernandes Ghosh Gill Gupta Iyer Jain Joshi Kapoor Khan
    Kulkarni Kumar Malhotra Mehta Mishra Mukherjee Nair Pandey Patel Pillai Rao Reddy Saxena Shah Sharma Shaikh Singh
    Sinha Thomas Tiwari Varma Verma Yadav
    """
)
_HINDI_GIVEN: Final = _split(
    """
    आरव अंजलि अमित आशा दीपक कविता मनीष नेहा
    पूजा प्रिया राहुल राजेश रेखा संजय सुनीता विजय
    """
)
_HINDI_FAMILY: Final = _split("शर्मा वर्मा गुप्ता सिंह यादव मिश्रा पांडे जोशी कुमार तिवारी")
_ABROAD_GIVEN: Final = _split("Emily James Olivia Daniel Sofia Liam Chloe Noah")
_ABROAD_FAMILY: Final = _split("Carter Wilson Brown Kim Rossi O'Connor Martin Müller")


class Person(Value, frozen=True, kw_only=True):
    """`phone`: digits with country code. `name` is empty of those whose profile has none."""

    phone: str
    name: str
    language: str
    opted_out: bool = False


class People:
    """New customers, one after the other, no number twice."""

    def __init__(self, chance: Random, *, abroad: bool) -> None:
        """`abroad`: whether there are such customers; their few numbers serve one history only."""
        self._chance = chance
        self._indians = chance.randrange(1_000_000) * 500
        self._abroad = [
            *(f"447700900{number:03d}" for number in range(1000)),
            *(f"1{area}55501{number:02d}" for area in _AREAS for number in range(100)),
        ]
        chance.shuffle(self._abroad)
        if not abroad:
            self._abroad.clear()

    def another(self) -> Person:
        """Abroad numbers are few; when they are used up, everybody is Indian."""
        chance = self._chance
        opted_out = chance.random() < _OPTED_OUT_SHARE
        foreign = chance.random() < _ABROAD_SHARE
        if foreign and self._abroad:
            name = f"{chance.choice(_ABROAD_GIVEN)} {chance.choice(_ABROAD_FAMILY)}"
            return Person(phone=self._abroad.pop(), name=name, language="en", opted_out=opted_out)
        self._indians += chance.randrange(1, 90)
        language = "hi" if chance.random() < _HINDI_SHARE else "en"
        phone = _INDIA.format(self._indians % 1_000_000_000)
        return Person(phone=phone, name=self._name(language), language=language, opted_out=opted_out)

    def _name(self, language: str) -> str:
        chance = self._chance
        if chance.random() < _NAMELESS_SHARE:
            return ""
        if language == "hi" and chance.random() < 0.5:
            return f"{chance.choice(_HINDI_GIVEN)} {chance.choice(_HINDI_FAMILY)}"
        return f"{chance.choice(_GIVEN)} {chance.choice(_FAMILY)}"
