"""Names of personas, statements and observations that stay the same on every machine.

The rule is the public steerability benchmark's, so that rows of both join: the first 8 hex digits of the MD5 of a text.
Eight digits are 32 bits: among 10,000 texts two share an id with a chance of about 1 %, so whoever makes many ids
checks that they are distinct. An id is a name, not a protection.
"""

from __future__ import annotations

import hashlib


def short_id(text: str) -> str:
    """First 8 hex digits of the MD5 of the UTF-8 text.

    Half a surrogate pair, which UTF-8 has no bytes for, is hashed as the three bytes that it would have.
    """
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:8]


def persona_id(framework: str, name: str) -> str:
    """Id of the persona `name` in the framework called `framework` (its name, not its file): `MBTI INTJ`."""
    return short_id(f"{framework} {name}")


def statement_id(agree: bool, text: str, persona: str) -> str:
    """Id of a statement with its label for the persona whose id is `persona`."""
    return short_id(f"{'agree' if agree else 'disagree'}_{text}_{persona}")


def observation_id(persona: str, text: str, agree: bool) -> str:
    """Id of one labelled observation in the public benchmark's splits; `persona` is the persona's id."""
    return short_id(f"{persona}_{text}_{'Y' if agree else 'N'}")
