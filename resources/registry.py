"""`data/models.yaml`: every model that a study may use, one entry a partition of every per-model asset."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from resources.errors import InputError
from resources.keys import key_problem
from resources.messages import Role
from resources.yamlfiles import load_yaml


class ProviderName(StrEnum):
    """Who answers: `transformers` in this process, or a server that speaks one of two protocols."""

    LOCAL = "local"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Price(BaseModel):
    """US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(default=0.0, ge=0)
    cached_input: float = Field(default=0.0, ge=0)
    output: float = Field(default=0.0, ge=0)


class SaeSource(BaseModel):
    """Where a model's sparse autoencoder comes from: a `release` and `id` of the sae-lens registry, or a directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str | None = None
    id: str | None = None
    directory: str | None = None


class ModelEntry(BaseModel):
    """One model. `name` is the partition key; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=200)
    provider: ProviderName
    model: str = Field(min_length=1)
    base_url: str | None = None
    api_key_env: str | None = None
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    max_concurrency: int = Field(default=16, ge=1, le=10_000)
    logprobs: bool = True
    price: Price = Price()
    roles: tuple[Role, ...] = tuple(Role)
    sae: SaeSource | None = None
    trainable: bool | dict[str, JsonValue] = Field(
        default=False, description="true, or what the study's `training` is overridden with for this model"
    )
    schedule: bool = False

    @field_validator("name")
    @classmethod
    def _name_is_a_key(cls, name: str) -> str:
        if problem := key_problem(name):
            raise ValueError(f"{problem}; give the model another name")
        return name

    @model_validator(mode="after")
    def _fields_fit_provider(self) -> ModelEntry:
        if self.provider is ProviderName.LOCAL and (self.base_url or self.api_key_env):
            raise ValueError("a local model has no base_url and no api_key_env; remove them or set provider: openai")
        return self


class Registry(BaseModel):
    """All models of `data/models.yaml`, in file order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[ModelEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Registry:
        names = [entry.name for entry in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the model name {twice[0]!r} stands twice; give each entry its own name")
        return self

    def __getitem__(self, name: str) -> ModelEntry:
        """The entry of that name, or an `InputError` that lists what exists."""
        for entry in self.models:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.models)
        raise InputError("no such model", field="model", value=name, fix=f"data/models.yaml has: {known}")


def load_registry(path: Path) -> Registry:
    """`data/models.yaml`, validated; relative directories of local models are resolved by the caller."""
    return load_yaml(path, Registry)
