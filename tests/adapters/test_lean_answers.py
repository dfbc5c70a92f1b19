"""Bytes to an answer: the same however they are cut, bounded, and never read as more than what they are."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.lean_http.answers import FRAME_LIMIT, Answer, AnswerReader, Unreadable

LIMIT = 100
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Empty:\r\n\r\nhi"
CHUNKED = (
    b"HTTP/1.1 202 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2;a=b\r\nhi\r\n3\r\n ho\r\n0\r\nTrailer: x\r\n\r\n"
)
INTERIM = b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN
UNTIL_THE_END = b"HTTP/1.1 503 Away\r\nRetry-After: 5\r\nRetry-After: 6\r\n\r\ngone"
OLD = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
SAMPLES = [PLAIN, CHUNKED, INTERIM, UNTIL_THE_END, OLD, CLOSING, LONG, EMPTY, PLAIN + b"\r\nHTTP/1.1 400 More\r\n\r\n"]


def read(pieces: Sequence[bytes]) -> tuple[Answer, bool]:
    """The answer in the pieces, after which the other side closes, and whether it leaves its connection usable."""
    reader = AnswerReader(body_limit=LIMIT)
    for piece in pieces:
        reader.feed(piece)
    assert reader.end()
    return reader.answer(), reader.reusable


@pytest.mark.parametrize(
    ("data", "status", "body", "reusable"),
    [
        (PLAIN, 200, b"hi", True),
        (CHUNKED, 202, b"hi ho", True),
        (INTERIM, 200, b"hi", True),
        (UNTIL_THE_END, 503, b"gone", False),
        (OLD, 200, b"hi", False),
        (CLOSING, 200, b"hi", False),
        (LONG, 200, b"x" * LIMIT, False),
        (EMPTY, 204, b"", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", 200, b"abc", False),
    ],
)
def test_an_answer_is_read(data: bytes, status: int, body: bytes, reusable: bool) -> None:
    answer, kept = read([data])
    assert (answer.status, answer.body, kept) == (status, body, reusable)


@given(sample=st.sampled_from(SAMPLES), cuts=st.lists(st.integers(0, 200)))
def test_an_answer_reads_the_same_wherever_it_is_cut(sample: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(sample)]
    pieces = [sample[start:end] for start, end in pairwise(places) if start < end]
    assert read(pieces)[0] == read([sample])[0]


@given(cuts=st.integers(1, 7))
def test_one_reader_reads_answer_after_answer(cuts: int) -> None:
    reader = AnswerReader(body_limit=LIMIT)
    for sample in (PLAIN, CHUNKED, INTERIM, PLAIN):
        reader.begin()
        whole = [reader.feed(sample[start : start + cuts]) for start in range(0, len(sample), cuts)]
        assert (whole[-1], reader.reusable, any(whole[:-1])) == (True, True, False)
        assert reader.answer() == read([sample])[0]


def test_names_of_headers_are_in_small_letters_and_repetitions_joined() -> None:
    assert read([UNTIL_THE_END])[0].fields == {b"retry-after": b"5, 6"}
    assert read([INTERIM])[0].fields == {b"content-length": b"2", b"x-empty": b""}


@pytest.mark.parametrize("behind", [b"HTTP/1.1 200 OK\r\n\r\n", b"x", b"\0"])
@pytest.mark.parametrize("sample", [PLAIN, CLOSING])
def test_what_comes_behind_an_answer_costs_the_connection_only(sample: bytes, behind: bytes) -> None:
    assert read([sample + behind]) == (read([sample])[0], False)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01 this is TLS",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n" + PLAIN,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        AnswerReader(body_limit=LIMIT).feed(data)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"\r\n"),
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"xxxx"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"extension"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ", b"xxxx"),
    ],
)
def test_no_endless_frame_is_read_to_its_end(start: bytes, more: bytes) -> None:
    reader = AnswerReader(body_limit=LIMIT)
    reader.feed(start)
    piece = more * 100
    for _ in range((FRAME_LIMIT - len(start)) // len(piece)):
        assert not reader.feed(piece)
    with pytest.raises(Unreadable, match="around the body"):
        reader.feed(piece)


@pytest.mark.parametrize("data", [b"", PLAIN[:20], PLAIN[:-1], CHUNKED[:-3], INTERIM[:40], b"HTTP/1.1 200 OK\r\n"])
def test_an_answer_that_ends_early_is_not_whole(data: bytes) -> None:
    reader = AnswerReader(body_limit=LIMIT)
    assert not reader.feed(data)
    assert not reader.end()


def test_an_interim_answer_alone_is_none() -> None:
    reader = AnswerReader(body_limit=LIMIT)
    assert not reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert not reader.end()
