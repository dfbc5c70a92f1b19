"""Which language a customer writes, told from the script alone: enough to choose between the languages of the flows."""

from collections.abc import Sequence

SCRIPTS: dict[str, tuple[int, int]] = {
    "hi": (0x0900, 0x097F),
    "bn": (0x0980, 0x09FF),
    "pa": (0x0A00, 0x0A7F),
    "gu": (0x0A80, 0x0AFF),
    "ta": (0x0B80, 0x0BFF),
    "te": (0x0C00, 0x0C7F),
    "kn": (0x0C80, 0x0CFF),
    "ml": (0x0D00, 0x0D7F),
    "ar": (0x0600, 0x06FF),
}
"""Unicode blocks (inclusive) that stand for one configured language each."""

SEEN_CHARACTERS = 200
"""Characters of a message that are looked at."""


def written_language(text: str, configured: Sequence[str]) -> str | None:
    """The configured language whose script has at least half of the letters of `text`; None when no script tells."""
    if text.isascii():
        return None
    letters = [ord(character) for character in text[:SEEN_CHARACTERS] if character.isalpha()]
    for language in configured:
        low, high = SCRIPTS.get(language, (1, 0))
        if letters and sum(low <= letter <= high for letter in letters) * 2 >= len(letters):
            return language
    return None
