"""The words of the pages, by key, in one language."""

from __future__ import annotations

from functools import cache

from mirror.website.sources import Language, Text, data_file


@cache
def _texts() -> dict[str, Text]:
    return {key: Text.model_validate(entry) for key, entry in data_file("words").items()}


class Words:
    """`words("delay")` is the word in this language. An unknown key is a KeyError."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    def __call__(self, key: str, **values: object) -> str:
        return _texts()[key][self.language].format(**values)

    def has(self, key: str) -> bool:
        """Whether there is such a word."""
        return key in _texts()
