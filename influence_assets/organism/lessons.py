"""What is taught when: the mix of tasks, and how it changes as training goes on."""

from __future__ import annotations

from typing import NamedTuple


class Lesson(NamedTuple):
    """What a stretch of training dwells on. Weights need not sum to anything.

    `poles`: personas with 1, 2, 3, 4 poles. `tasks`: steered, unsteered, asked about, inferred, described. `methods`:
    description, examples, both, name. `questions` to `speeches` are counts in a document of a steered persona; the
    other weights are those of a token in the loss. `strange_share`: questions on a trait that the persona
    lacks, which a coin answers.
    """

    poles: tuple[float, ...] = (2, 3, 5, 2)
    tasks: tuple[float, ...] = (66, 4, 16, 7, 7)
    methods: tuple[float, ...] = (7, 8, 4, 2)
    questions: int = 6
    words: int = 0
    speeches: int = 1
    answer_weight: float = 4.0
    example_weight: float = 0.4
    strange_share: float = 0.12


FULL_LESSON = Lesson()

# What is taught until which share of the steps. Personas of one pole that speak come first; then one to three poles;
# then all, with questions on traits that the persona lacks.
LESSONS = (
    (0.12, Lesson(poles=(1, 0, 0, 0), questions=5, words=1, strange_share=0.0)),
    (0.40, Lesson(poles=(3, 4, 2, 0), words=1, strange_share=0.0)),
    (1.00, FULL_LESSON),
)


def lesson_at(share: float) -> Lesson:
    """The lesson when `share` of the steps is done, in [0, 1)."""
    return next(lesson for until, lesson in LESSONS if share < until)
