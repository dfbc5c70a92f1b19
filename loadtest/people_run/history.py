"""Reads the transcripts of many customers over REST, some at a time, and holds them against what they lived."""

from collections import defaultdict
from typing import Any, Final

from gevent.pool import Pool

from loadtest.people_run.count import firsts
from loadtest.people_run.crowd import Crowd
from loadtest.people_run.said import Heard, Said
from loadtest.people_run.transcripts import differences, transcript

READERS: Final = 8
"""Transcripts that are read at once."""


class Unreadable(Exception):
    """REST did not answer."""


def compared(crowd: Crowd, most: int) -> tuple[int, tuple[str, ...]]:
    """How many customers were compared, `most` at most and by chance, and every difference. None without a token."""
    if not crowd.place.token:
        return 0, ()
    said: dict[str, list[Said]] = defaultdict(list)
    heard: dict[str, list[Heard]] = defaultdict(list)
    for one in crowd.said:
        said[one.phone].append(one)
    for reply in firsts(crowd.heard):
        heard[reply.to].append(reply)
    phones = sorted(said)
    chosen = phones if len(phones) <= most else sorted(crowd.chance.sample(phones, most))

    def compare(phone: str) -> list[str]:
        try:
            return differences(phone, said[phone], heard[phone], transcript(read, phone))
        except Unreadable as problem:
            return [f"{phone}: {problem}"]

    def read(path: str) -> Any:
        document = crowd.api("GET", path)
        if document is None:
            raise Unreadable(f"GET {path} was not answered")
        return document

    found = Pool(READERS).map(compare, chosen)
    return len(chosen), tuple(case for cases in found for case in cases)
