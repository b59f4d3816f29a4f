"""Personas with their descriptions: from the framework's file, or written by the generator model.

A name alone is never all that a model gets: a persona without a description is not asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from influence_assets.personas.contrast import with_opposites
from influence_assets.personas.frameworks import Framework
from influence_assets.personas.generate import request_seed
from influence_assets.personas.ids import persona_id
from influence_assets.personas.records import FrameworkRow, Persona
from influence_assets.personas.words import storable
from resources.asking import Models, Progress
from resources.messages import Reply, Request, Role, Sampling, Status
from resources.prompts import PromptFile

MAX_TOKENS = 160
FROM_FILE = "file"
NOT_ASKED = "missing"
NO_TRAITS = "none given"


def framework_row(slug: str, framework: Framework, aspects: Sequence[str]) -> FrameworkRow:
    """The row of `personas.frameworks`; `aspects` as `frameworks.aspects_of` gives them."""
    return FrameworkRow(
        framework=slug,
        name=framework.name,
        about=framework.about,
        dimensions=dict(framework.dimensions),
        aspects=tuple(aspects),
        n_personas=len(framework.personas),
    )


def personas_of(slug: str, framework: Framework, limit: int | None = None) -> list[Persona]:
    """The first `limit` personas of a framework (all when None) as its file has them, with their opposites."""
    personas = [
        Persona(
            framework=slug,
            persona_id=persona_id(framework.name, spec.name),
            position=position,
            name=spec.name,
            framework_name=framework.name,
            description=spec.description,
            description_source=FROM_FILE,
            status=Status.OK.value if spec.description else NOT_ASKED,
            traits={dimension: side.value for dimension, side in spec.traits.items()},
        )
        for position, spec in enumerate(framework.personas[:limit])
    ]
    return with_opposites(personas)


async def describe(
    personas: Sequence[Persona],
    framework_of: Callable[[Persona], Framework],
    prompt: PromptFile,
    models: Models,
    *,
    generator: str,
    seed: int,
    on_progress: Progress | None = None,
) -> list[Persona]:
    """The personas, with a description by the generator for each that has none.

    The name and text of the persona's framework are always in the prompt. A reply that is no description (refused, cut
    off, empty) leaves the description null and its status in the row.
    """
    missing = [persona for persona in personas if not persona.description]
    requests = [_request(persona, framework_of(persona), prompt, generator, seed) for persona in missing]
    replies = await models.generate_many(requests, on_progress) if requests else []
    described = {
        persona.persona_id: _described(persona, generator, reply)
        for persona, reply in zip(missing, replies, strict=True)
    }
    return [described.get(persona.persona_id, persona) for persona in personas]


def _request(persona: Persona, framework: Framework, prompt: PromptFile, generator: str, seed: int) -> Request:
    traits = ", ".join(f"{side} {dimension}" for dimension, side in persona.traits.items())
    messages = prompt.render(
        "default", name=persona.name, framework=framework.name, about=framework.about, traits=traits or NO_TRAITS
    )
    sampling = Sampling(
        max_tokens=MAX_TOKENS, seed=request_seed(seed, persona.framework, persona.persona_id, "describe")
    )
    return Request(model=generator, messages=messages, role=Role.GENERATOR, sampling=sampling)


def _described(persona: Persona, generator: str, reply: Reply) -> Persona:
    # One paragraph: a description is put into other prompts, where line breaks would look like structure.
    text = " ".join(storable(reply.text).split())
    status = Status.UNPARSABLE if reply.status is Status.OK and not text else reply.status
    return replace(
        persona,
        description=text if status is Status.OK else None,
        description_source=generator,
        status=status.value,
        request_id=reply.request_id,
    )
