"""What the measurement of memory counts and tells."""

from pathlib import Path

from loadtest.chaos_run.process import ROOT
from loadtest.driver import build
from loadtest.memory_run.fill import Fill
from loadtest.memory_run.shown import Held, grown, lines, told
from loadtest.people_run.said import Heard

PHONE = "917000000001"


def heard(*texts: str) -> list[Heard]:
    return [Heard(id=f"m{place}", to=PHONE, text=text, at=float(place), crqid="c") for place, text in enumerate(texts)]


def said() -> Fill:
    """A fill in which one customer wrote two messages."""
    fill = Fill()
    for (message,) in build([PHONE], range(2), port=1, secret="secret"):
        fill.note(message)
    return fill


def test_every_answer_once_and_in_order_breaks_nothing() -> None:
    assert said().count == 2
    assert said().broken(heard("Heard hello 0", "Echo word 1")) == []


def test_a_lost_a_doubled_and_a_misplaced_answer_are_each_told() -> None:
    for came in (["Heard hello 0"], ["Heard hello 0", "Echo word 1", "Echo word 1"], ["Echo word 1", "Heard hello 0"]):
        (sentence,) = said().broken(heard(*came))
        assert PHONE in sentence


def test_memory_is_told_for_all_since_the_start_and_for_one_more() -> None:
    held = Held(first=1000, conversations=3000, begun=10_000_000, before=20_000_000, after=23_000_000)
    assert (held.each, held.more) == (3250.0, 1000.0)
    assert told(held, 3072.0).endswith("bound 3072: MISSED")
    assert told(held, 4000.0).endswith("bound 4000: kept")


def test_lines_that_hold_more_than_before_are_told_with_the_heaviest_first(tmp_path: Path) -> None:
    (tmp_path / "before").write_text(f"100 1 {ROOT}/bot/a.py:1\n50 1 /lib/b.py:2")
    (tmp_path / "after").write_text(f"300 5 {ROOT}/bot/a.py:1\n50 1 /lib/b.py:2\n600 2 /lib/c.py:3")
    total, *rows = grown(lines(tmp_path / "before"), lines(tmp_path / "after"), 2)
    assert total == "traced: 400 bytes each"
    assert [row.split() for row in rows[:2]] == [["300", "1.00", "/lib/c.py:3"], ["100", "2.00", "bot/a.py:1"]]
