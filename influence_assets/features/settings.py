"""The part of `data/study.yaml` that says which features are looked for, and how steering is measured."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from influence_assets.features.orders import Orders
from influence_assets.features.pooling import Pooling
from influence_assets.features.sae_settings import SaeSettings
from resources.steering import Mode, Positions
from resources.yamlfiles import problem_at


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SteeringSettings(_Part):
    """How directions are tried. Coefficients count mean residual norms at the direction's layer."""

    factors: tuple[str, ...] = Field(default=(), description="factors whose directions are tried; all when empty")
    methods: tuple[str, ...] = Field(default=(), description="direction methods that are tried; all found when empty")
    coefficients: tuple[float, ...] = (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)
    positions: Positions = Positions.ALL
    mode: Mode = Mode.ADD
    items: int | None = Field(default=None, ge=2, description="held-out items per trait; all when absent")
    selection_items: int = Field(default=6, ge=1, description="items per trait by which layers are chosen")
    orders: Orders = Orders.CYCLIC
    kl_bound: float = Field(default=0.1, gt=0, description="nats on neutral text within which a shift is reported")
    neutral: str = Field(default="english", description="file of data/neutral")
    written: int = Field(default=8, ge=0, description="neutral texts that are answered under every push")
    written_tokens: int = Field(default=24, ge=4, description="tokens of such an answer at most")

    @property
    def positive(self) -> tuple[float, ...]:
        """The positive coefficients, rising."""
        return tuple(c for c in self.coefficients if c > 0)

    @field_validator("coefficients")
    @classmethod
    def _both_signs(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) != len(values) or 0.0 not in values or min(values) >= 0 or max(values) <= 0:
            raise problem_at(
                (), "must be different, with 0 and both signs among them", value=values, fix="such as [-0.4, 0, 0.4]"
            )
        return tuple(sorted(values))


class FeaturesSettings(_Part):
    """The design of the features family."""

    backgrounds: tuple[str, ...] = Field(default=("traits",), description="files of data/backgrounds")
    biographies: int = Field(
        default=0, ge=0, le=1_000_000, description="generated biographies, each with one long-term keyword set"
    )
    trait_items: tuple[str, ...] = Field(default=("english",), description="folders of data/trait_items")
    side_effects: tuple[str, ...] = Field(default=("english",), description="folders of data/side_effects")
    patterns: str | None = Field(default=None, description="pattern file with explanations of the SAE's latents")
    iterations: tuple[int, ...] = Field(default=(0,), description="checkpoints that are looked into")
    pooling: Pooling = Field(default=Pooling.LAST, description="the token of a contrast text that stands for it")
    layers: tuple[int, ...] = Field(default=(), description="candidates; up to eight, evenly spaced, when empty")
    layer: int | None = Field(default=None, ge=0, description="chosen by steering on the selection half when absent")
    sae: SaeSettings | None = Field(default=None, description="how the SAE is trained, where a model names none")
    keep: int = Field(default=20, ge=1, description="latents per category that become rows")
    directions: tuple[str, ...] = Field(default=(), description="direction methods; the default ones when empty")
    steering: SteeringSettings = SteeringSettings()
    min_mass: float = Field(default=0.5, ge=0, le=1)
    draws: int = Field(default=1000, ge=100, le=1_000_000)

    @field_validator("iterations")
    @classmethod
    def _untouched_first(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if 0 not in values or min(values) < 0 or len(set(values)) != len(values):
            raise problem_at((), "must be different and hold 0, the untouched model", value=values, fix="such as [0]")
        return tuple(sorted(values))
