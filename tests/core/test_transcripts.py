"""Golden transcripts of the sample flows. `UPDATE_GOLDEN=1` rewrites them from their inputs."""

from pathlib import Path

import pytest

from tests.core.playing import UPDATE, book_of, replayed

FLOWS = Path(__file__).parents[2] / "flows"
TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_sample_flow_says_what_its_transcript_says(path: Path) -> None:
    expected = path.read_text(encoding="utf-8").rstrip("\n")
    actual = replayed(book_of(FLOWS), expected)
    if UPDATE:
        path.write_text(actual + "\n", encoding="utf-8")
    assert actual == expected or UPDATE


def test_there_are_transcripts_of_every_sample_flow() -> None:
    flows = {path.stem for path in FLOWS.glob("*.yaml")} - {"rules"}
    assert flows <= {path.stem.split("_")[0] for path in TRANSCRIPTS}
