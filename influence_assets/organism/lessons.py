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
    methods: tuple[float, ...] = (8, 7, 4, 2)
    questions: int = 6
    words: int = 1
    namings: int = 1
    standings: int = 1
    speeches: int = 1
    answer_weight: float = 4.0
    example_weight: float = 0.4
    strange_share: float = 0.12


FULL_LESSON = Lesson()

# What is taught until which share of the steps. Personas of one pole that mostly speak come first: from them the model
# learns within some 200 steps that a persona decides what is said. Agreement is taught in its parts as well: the trait
# of a statement (naming), and what the persona is in that trait (standing). Both are plain reading, learned early; what is
# left is to compare the two. Taught all at once, agreement was at chance after 600 steps.
LESSONS = (
    (
        0.11,
        Lesson(
            poles=(1, 0, 0, 0),
            tasks=(76, 0, 8, 8, 8),
            methods=(6, 4, 2, 1),
            questions=1,
            words=2,
            namings=2,
            standings=2,
            speeches=2,
            answer_weight=2.0,
            example_weight=1.0,
            strange_share=0.0,
        ),
    ),
    (
        0.35,
        Lesson(
            poles=(3, 4, 2, 0),
            tasks=(76, 0, 12, 6, 6),
            questions=4,
            words=2,
            namings=1,
            standings=2,
            speeches=1,
            answer_weight=3.0,
            example_weight=0.7,
            strange_share=0.0,
        ),
    ),
    (1.00, FULL_LESSON),
)


def lesson_at(share: float) -> Lesson:
    """The lesson when `share` of the steps is done, in [0, 1)."""
    return next(lesson for until, lesson in LESSONS if share < until)
