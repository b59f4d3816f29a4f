"""`data/study.yaml`: what is run, by which models, in which size. One file, one validated value."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from influence_assets.features.settings import FeaturesSettings
from influence_assets.influence.settings import InfluenceSettings
from influence_assets.joint.settings import JointSettings
from influence_assets.machines import ExecutorSettings, RecordsSettings, RepliesSettings, StorageSettings
from resources.messages import Role
from resources.yamlfiles import load_yaml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilterSettings(_Part):
    """Thresholds of the statement filters (docs/personas.md says what each does)."""

    min_words: int = Field(default=3, ge=1)
    max_words: int = Field(default=40, ge=1)
    label_confidence: float = Field(default=0.2, ge=0, le=0.5)
    diversity: float = Field(default=0.86, gt=0, le=1)
    cross_persona: float = Field(default=0.95, gt=0, le=1)


class PersonaSettings(_Part):
    """How many personas and statements, and how hard generation tries before it says that a persona is short."""

    frameworks: tuple[str, ...] = Field(min_length=1)
    per_framework: int | None = Field(default=None, ge=2)
    agree_per_persona: int = Field(default=30, ge=1, le=10_000, description="kept statements per persona and label")
    statements_per_request: int = Field(default=5, ge=1, le=50)
    max_rounds: int = Field(default=6, ge=1, le=100)
    filters: FilterSettings = FilterSettings()


class SteerabilitySettings(_Part):
    """The design of the steerability measurement."""

    methods: tuple[str, ...] = (
        "none",
        "name",
        "description",
        "examples",
        "description_and_examples",
        "inferred_description",
    )
    n_steer: tuple[int, ...] = (4,)
    repeats: int = Field(default=1, ge=1, le=1_000)
    pairs: int | None = Field(
        default=None, ge=1, description="random tests per persona beside its own; all when absent"
    )
    test_per_persona: int | None = Field(default=None, ge=2, description="test statements per persona; all when absent")
    min_mass: float = Field(default=0.5, ge=0, le=1)
    draws: int = Field(default=1000, ge=100, le=1_000_000)


class AutomationSettings(_Part):
    """What may run without a person. `automation: true` alone means `costly: true`."""

    costly: bool = Field(default=False, description="whether assets that ask models rerun by themselves")
    nightly: str = Field(
        default="0 2 * * *",
        pattern=r"^([\d*/,-]+ +){4}[\d*/,-]+$",
        description="cron time (minute, hour, day, month, weekday) at which `schedule: true` models are updated",
    )
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _is_a_place(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("is no time zone; write one such as UTC or Europe/Zurich")
        return name


class Study(_Part):
    """One study. `roles` maps each role to the models that play it; judges may be several."""

    name: str = Field(min_length=1, max_length=200)
    seed: int = Field(default=0, ge=0)
    roles: dict[Role, tuple[str, ...]] = Field(default_factory=dict)
    budget_usd: float | None = Field(default=None, ge=0)
    automation: AutomationSettings = AutomationSettings()
    storage: StorageSettings = StorageSettings()
    replies: RepliesSettings = RepliesSettings()
    records: RecordsSettings = RecordsSettings()
    executor: ExecutorSettings = ExecutorSettings()
    personas: PersonaSettings
    steerability: SteerabilitySettings = SteerabilitySettings()
    influence: InfluenceSettings = InfluenceSettings()
    features: FeaturesSettings = FeaturesSettings()
    joint: JointSettings = JointSettings()

    @field_validator("automation", mode="before")
    @classmethod
    def _one_word_is_enough(cls, given: object) -> object:
        return {"costly": given} if isinstance(given, bool) else given

    @field_validator("storage", "replies", "records", "executor", mode="before")
    @classmethod
    def _so_it_is_here(cls, given: object) -> object:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _roles_are_filled(self) -> Study:
        for role in (Role.GENERATOR, Role.FILTER_JUDGE):
            if not self.roles.get(role):
                raise ValueError(f"the role {role.value} has no model; name one under roles")
        return self


def load_study(path: Path) -> Study:
    """`data/study.yaml`, validated."""
    return load_yaml(path, Study)
