"""How a sparse autoencoder is trained, as it stands in `data/study.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from resources.yamlfiles import first_problem, problem_at


class Architecture(StrEnum):
    """What makes the latents sparse.

    `topk`: the k largest of each token (Gao et al., arXiv 2406.04093). `batchtopk`: k per token on average over a batch
    (Bussmann et al., arXiv 2412.06410). `matryoshka`: batchtopk whose first latents must do alone as well (Bussmann et
    al., arXiv 2503.17547). `jumprelu`: a learned threshold per latent with an L0 penalty (Rajamanoharan et al., arXiv
    2407.14435). `standard`: ReLU with an L1 penalty (Bricken et al. 2023).
    """

    TOPK = "topk"
    BATCHTOPK = "batchtopk"
    MATRYOSHKA = "matryoshka"
    JUMPRELU = "jumprelu"
    STANDARD = "standard"


SPARSITY = {
    Architecture.TOPK: "k",
    Architecture.BATCHTOPK: "k",
    Architecture.MATRYOSHKA: "k",
    Architecture.JUMPRELU: "l0",
    Architecture.STANDARD: "l1",
}
"""The one setting that each architecture takes for how sparse it is."""


class SaeSettings(BaseModel):
    """One sparse autoencoder of one layer's block output.

    Coefficients and the learning rate mean the same for every model, since activations are scaled to one size first
    (see `sae_training`). `warmup` and `decay` are shares of the steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layer: int = Field(ge=0, description="the block whose output is encoded, 0 the first")
    architecture: Architecture = Architecture.TOPK
    width: int = Field(default=512, ge=2, le=2**24, description="number of latents")
    k: float | None = Field(
        default=None, gt=0, description="latents that are on per token: topk, batchtopk, matryoshka"
    )
    l0: float | None = Field(default=None, gt=0, description="weight of the number of latents that are on: jumprelu")
    l1: float | None = Field(default=None, gt=0, description="weight of the sum of the latents: standard")
    levels: tuple[int, ...] = Field(
        default=(),
        description="matryoshka: nested widths, the last the whole; a quarter, a half, the whole when absent",
    )
    tokens: int = Field(default=200_000, ge=1, description="tokens trained on; the text is gone through again if short")
    batch_size: int = Field(default=512, ge=2, description="tokens per step")
    learning_rate: float = Field(default=3e-3, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1, description="learning rate and sparsity rise")
    decay: float = Field(default=0.2, ge=0, lt=1, description="the learning rate falls to 0 at the end")
    dead_after: int | None = Field(
        default=None, ge=1, description="steps without firing after which a latent is dead and trained on what is left"
    )
    context_size: int = Field(default=1024, ge=2, description="chats are cut to so many tokens")
    skip_first: int = Field(
        default=1,
        ge=0,
        description="tokens at the start of a chat that are left out: many models park huge norms there",
    )
    buffer_mb: int = Field(default=256, ge=1, le=2**20, description="activations in memory, among which is shuffled")
    seed: int = Field(default=0, ge=0, lt=2**63)
    checkpoint_every: int = Field(default=0, ge=0, description="steps between checkpoints; 0 keeps none")

    @model_validator(mode="before")
    @classmethod
    def _fields_exist(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and (unknown := [name for name in values if name not in cls.model_fields]):
            known = ", ".join(cls.model_fields)
            raise problem_at((unknown[0],), "is not a known field", value=values[unknown[0]], fix=f"there are: {known}")
        return values

    @model_validator(mode="after")
    def _sparsity_fits(self) -> SaeSettings:
        wanted = SPARSITY[self.architecture]
        for name in sorted(set(SPARSITY.values())):
            value = getattr(self, name)
            if name == wanted and value is None:
                raise problem_at((name,), f"architecture {self.architecture} needs it", value=None, fix="give a number")
            if name != wanted and value is not None:
                takers = ", ".join(kind for kind, field in SPARSITY.items() if field == name)
                problem = f"architecture {self.architecture} takes {wanted} and not {name}"
                raise problem_at((name,), problem, value=value, fix=f"remove it, or choose one of: {takers}")
        if self.k is not None and self.k > self.width:
            raise problem_at(("k",), f"is above the width {self.width}", value=self.k, fix="lower it")
        if self.architecture is Architecture.TOPK and self.k != int(self.k or 0):
            raise problem_at(("k",), "topk takes whole numbers", value=self.k, fix="round it, or choose batchtopk")
        return self

    @model_validator(mode="after")
    def _steps_fit(self) -> SaeSettings:
        if self.tokens < self.batch_size:
            problem = f"is below the batch size of {self.batch_size} tokens"
            raise problem_at(("tokens",), problem, value=self.tokens, fix="train on more, or in smaller batches")
        if self.warmup + self.decay > 1:
            problem = f"with a warmup of {self.warmup} is above 1"
            raise problem_at(("decay",), problem, value=self.decay, fix="lower one of them")
        if self.skip_first >= self.context_size:
            problem = f"leaves nothing of a context of {self.context_size} tokens"
            raise problem_at(("skip_first",), problem, value=self.skip_first, fix="lower it")
        return self

    @model_validator(mode="after")
    def _levels_fit(self) -> SaeSettings:
        if not self.levels:
            return self
        if self.architecture is not Architecture.MATRYOSHKA:
            problem = f"architecture {self.architecture} has no levels"
            raise problem_at(("levels",), problem, value=self.levels, fix="remove them, or choose matryoshka")
        rising = all(low < high for low, high in zip((0, *self.levels), self.levels, strict=False))
        if not rising or self.levels[-1] != self.width:
            problem = f"are not rising widths that end at the whole width {self.width}"
            raise problem_at(("levels",), problem, value=self.levels, fix="such as a quarter, a half, the whole")
        return self

    @property
    def steps(self) -> int:
        """Training steps: whole batches of `tokens`."""
        return self.tokens // self.batch_size

    @property
    def nested_widths(self) -> tuple[int, ...]:
        """Matryoshka's levels, given or by default."""
        return self.levels or tuple(sorted({max(1, self.width // 4), max(1, self.width // 2), self.width}))

    @property
    def dead_steps(self) -> int:
        """Steps without firing after which a latent counts as dead while training: a tenth of all, at least 20."""
        return self.dead_after or max(20, self.steps // 10)


def sae_settings(values: Mapping[str, JsonValue], place: str | Path = "") -> SaeSettings:
    """Settings from plain values; an `InputError` that names the field and lists what exists otherwise.

    `place` is where the values stand, such as a file.
    """
    try:
        return SaeSettings.model_validate(dict(values))
    except ValidationError as error:
        raise first_problem(error, lambda _: str(place)) from None
