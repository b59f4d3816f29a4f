"""A closed set of answers as token sequences, and their exact probabilities.

An answer may be written in several ways (`yes`, ` yes`, `Yes`): their mass is summed. A way of writing may take
several tokens: it is scored as the product over them. All ways together form a tree over tokens; its inner nodes are
the places after the prompt at which a next-token distribution is needed.

Answers never share mass. With p(n) the probability of reaching tree node n, an answer that ends at n gets

    p(n) * (1 - sum over children c of n of P(c | n))

so that "1" counts only where the model does not go on to "10" when both are options. What starts towards a longer
answer and then turns away from it belongs to no answer. Only the tokenizer's own way of cutting a text is counted:
other cuts of the same letters have negligible mass in a model that was trained with that tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.errors import InputError

Encode = Callable[[str], Sequence[int]]
Decode = Callable[[Sequence[int]], str]
TokenPath = tuple[int, ...]


def written_forms(options: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Each option with the texts that count as it: itself and its lower, upper and capitalised forms, each also after
    one space.

    Case counts only where options differ in nothing else: then each has its own spelling alone, as in `answers.py`.
    Raises `InputError` for options that are missing, blank or not distinct.
    """
    if not options or len(set(options)) != len(options) or any(not option.strip() for option in options):
        raise InputError("options must be distinct and not blank", field="options", value=options, fix="name each once")
    case_counts = len({option.casefold() for option in options}) < len(options)
    forms: dict[str, tuple[str, ...]] = {}
    for option in options:
        spelled = {option} if case_counts else {option, option.lower(), option.upper(), option.capitalize()}
        forms[option] = tuple(form for spelling in sorted(spelled) for form in (spelling, " " + spelling))
    return forms


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Options as a tree of token sequences.

    `branches` are the inner nodes, shorter paths first, the first the empty path (the prompt's own end); `tokens[i]`
    are the children of `branches[i]`; `ends` says which option a path is. `owners_T_O` is set when no option needs
    more than one token: 1 where a child of the prompt is a way of writing an option.
    """

    options: tuple[str, ...]
    branches: tuple[TokenPath, ...]
    tokens: tuple[tuple[int, ...], ...]
    ends: dict[TokenPath, int]
    owners_T_O: NDArray[np.float64] | None

    def mass_per_option(self, logp: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
        """Probability of each option, not normalised; `logp[i]` are log P(tokens[i] | prompt + branches[i])."""
        if self.owners_T_O is not None:
            return np.asarray(np.exp(logp[0].astype(np.float64)) @ self.owners_T_O)
        mass_O = np.zeros(len(self.options))
        reached: dict[TokenPath, float] = {(): 1.0}
        for branch, tokens, logp_T in zip(self.branches, self.tokens, logp, strict=True):
            p_T = np.exp(logp_T.astype(np.float64))
            if branch in self.ends:
                mass_O[self.ends[branch]] += reached[branch] * max(0.0, 1.0 - float(p_T.sum()))
            for token, p in zip(tokens, p_T, strict=True):
                path = (*branch, token)
                reached[path] = reached[branch] * float(p)
        inner = set(self.branches)
        for path, option in self.ends.items():
            if path not in inner:
                mass_O[option] += reached[path]
        return mass_O


def tokenise(options: tuple[str, ...], encode: Encode, decode: Decode) -> Answers:
    """The answer tree of `options`.

    `encode` adds no special tokens. Raises `InputError` when the tokenizer cannot write an option, or writes two
    options with the same tokens.
    """
    ends: dict[TokenPath, int] = {}
    for number, (option, forms) in enumerate(written_forms(options).items()):
        paths = {path for form in forms for path in _paths(form, encode, decode)}
        if not paths:
            raise InputError(
                "the model's tokenizer cannot write this option", field="options", value=option, fix="choose another"
            )
        for path in paths:
            if ends.setdefault(path, number) != number:
                raise InputError(
                    f"the model's tokenizer writes this option like {options[ends[path]]!r}",
                    field="options",
                    value=option,
                    fix="use options that the tokenizer can tell apart",
                )
    return _tree(options, ends)


def _paths(form: str, encode: Encode, decode: Decode) -> set[TokenPath]:
    """The form's tokens at the start of a text, and after a line break, where some tokenizers put no space before."""
    alone, lead, after = tuple(encode(form)), tuple(encode("\n")), tuple(encode("\n" + form))
    found = {alone}
    if lead and after[: len(lead)] == lead:
        found.add(after[len(lead) :])
    return {path for path in found if path and _letters(decode(path)) == _letters(form)}


def _letters(text: str) -> str:
    return "".join(text.split()).casefold()  # word-level tokenizers add spaces, some lose the case


def _tree(options: tuple[str, ...], ends: dict[TokenPath, int]) -> Answers:
    children: dict[TokenPath, set[int]] = {(): set()}
    for path in ends:
        for depth, token in enumerate(path):
            children.setdefault(path[:depth], set()).add(token)
    branches = tuple(sorted(children, key=lambda path: (len(path), path)))
    tokens = tuple(tuple(sorted(children[branch])) for branch in branches)
    owners_T_O = None
    if len(branches) == 1:
        owners_T_O = np.zeros((len(tokens[0]), len(options)))
        for place, token in enumerate(tokens[0]):
            owners_T_O[place, ends[(token,)]] = 1.0
    return Answers(options, branches, tokens, ends, owners_T_O)
