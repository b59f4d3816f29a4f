"""Form: is this a plain first-person English sentence that names neither persona nor framework and does not hedge?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from influence_assets.personas.records import Candidate, Decision, Filter
from influence_assets.personas.words import words_of
from resources.yamlfiles import load_yaml

# What Markdown, HTML, JSON and templates are made of, and what begins an item of a list.
_MARKUP = re.compile(r"[*_#`<>{}\[\]|\\^~=]|https?:|www\.|^\s*(?:[-+•]|\d+[.)])\s")
_QUOTES = "\"'“”‘’«»"


class FormFile(BaseModel):
    """`data/filters/form.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    first_person: frozenset[str] = Field(min_length=1)
    min_function_word_share: float = Field(ge=0, le=1)
    function_words: frozenset[str] = Field(min_length=1)
    hedges: tuple[str, ...]


def load_form(path: Path) -> FormFile:
    """The word lists, validated."""
    return load_yaml(path, FormFile)


@dataclass(frozen=True)
class Form:
    """The rules for one framework, or for an import of several. `names` holds every persona's name by its id."""

    lists: FormFile
    framework_names: tuple[str, ...]
    names: Mapping[str, str]
    min_words: int
    max_words: int

    @cached_property
    def _hedges(self) -> re.Pattern[str]:
        return _phrases(self.lists.hedges)

    @cached_property
    def _frameworks(self) -> re.Pattern[str]:
        return _phrases(self.framework_names)

    @cached_property
    def _own_names(self) -> dict[str, re.Pattern[str]]:
        return {key: _phrases([_bare(name)]) for key, name in self.names.items()}

    @cached_property
    def _all_names(self) -> re.Pattern[str]:
        return _phrases(list(self.names.values()), ignore_case=False)

    def problems(self, text: str, persona_id: str) -> list[str]:
        """Names of the rules that the text breaks, in a fixed order; empty when it is well formed.

        A persona's own name counts in any case and without its article; another persona's only as it is written in
        the framework, so that a name such as The World does not outlaw ordinary words for everybody.
        """
        words = words_of(text)
        rules: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("not plain text", lambda: not _is_plain(text)),
            ("too short", lambda: len(words) < self.min_words),
            ("too long", lambda: len(words) > self.max_words),
            ("not first person", lambda: self.lists.first_person.isdisjoint(words)),
            ("not English", lambda: self._function_word_share(words) < self.lists.min_function_word_share),
            ("names the persona", lambda: self._names_own(text, persona_id)),
            ("names another persona", lambda: self._names_other(text, persona_id)),
            ("names the framework", lambda: bool(self._frameworks.search(text))),
            ("hedges", lambda: bool(self._hedges.search(" ".join(words)))),
        )
        return [name for name, broken in rules if broken()]

    def _names_own(self, text: str, persona_id: str) -> bool:
        own = self._own_names.get(persona_id)
        return own is not None and bool(own.search(text))

    def _names_other(self, text: str, persona_id: str) -> bool:
        return any(found.group() != self.names.get(persona_id) for found in self._all_names.finditer(text))

    def _function_word_share(self, words: Sequence[str]) -> float:
        known = self.lists.function_words | self.lists.first_person
        return sum(word in known for word in words) / max(len(words), 1)


def form(candidates: Sequence[Candidate], rules: Form) -> list[Decision]:
    """One decision per candidate; the score is the number of broken rules, the threshold 0."""
    decisions = []
    for candidate in candidates:
        problems = rules.problems(candidate.text, candidate.persona_id)
        decisions.append(
            Decision(
                framework=candidate.framework,
                statement_id=candidate.id,
                persona_id=candidate.persona_id,
                filter=Filter.FORM.value,
                passed=not problems,
                score=float(len(problems)),
                threshold=0.0,
                reason=", ".join(problems),
            )
        )
    return decisions


def _is_plain(text: str) -> bool:
    """One trimmed line of printable text without markup and without quotes around the whole."""
    if not text or text != text.strip() or _MARKUP.search(text):
        return False
    if any(unicodedata.category(character)[0] == "C" for character in text):
        return False
    return not (len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES)


def _bare(name: str) -> str:
    return re.sub(r"^(?:the|a|an)\s+", "", name, flags=re.IGNORECASE)


def _phrases(phrases: Sequence[str], *, ignore_case: bool = True) -> re.Pattern[str]:
    """A pattern that finds any of the phrases as whole words; one that finds nothing when there are none."""
    wanted = [re.escape(phrase) for phrase in phrases if phrase.strip()]
    if not wanted:
        return re.compile(r"(?!)")
    return re.compile(rf"(?<!\w)(?:{'|'.join(wanted)})(?!\w)", re.IGNORECASE if ignore_case else 0)
