"""The part of `data/study.yaml` that says how every checkpoint is probed: a smaller design than the families' own."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from resources.yamlfiles import problem_at

UNSTEERED = "none"


class JointSettings(BaseModel):
    """The design of the probes. Every checkpoint gets the same personas, statements, splits, items and texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    personas: int = Field(default=8, ge=2, description="personas, evenly spaced over all; all when there are fewer")
    test_per_persona: int = Field(default=4, ge=2, description="test statements per persona, half of either label")
    methods: tuple[str, ...] = Field(
        default=(UNSTEERED, "description"), description="steering methods, none among them"
    )
    direction: str = Field(
        default="difference_in_means", description="method of features.directions that is projected on"
    )
    items: int | None = Field(default=6, ge=2, description="held-out items per trait; all when absent")
    draws: int = Field(default=1000, ge=100, le=1_000_000)

    @field_validator("methods")
    @classmethod
    def _something_to_compare(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if UNSTEERED not in values or len(set(values)) < 2:
            raise problem_at(
                (), "must hold none and a method to compare with it", value=values, fix="such as [none, description]"
            )
        return tuple(dict.fromkeys(values))
