"""Where a framework partition comes from: a file of `data/frameworks`, or an import in `data/imports`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from influence_assets.personas.contrast import with_opposites
from influence_assets.personas.describe import NOT_ASKED, personas_of
from influence_assets.personas.frameworks import IMPORT_PREFIX, Framework, aspects_of, load_framework
from influence_assets.personas.importers import FILE, ImportedBenchmark, read_import
from influence_assets.personas.records import Origin, Persona, Statement


@dataclass(frozen=True)
class Source:
    """One framework as its file has it. `benchmark` is set for an import, whose statements are not generated."""

    slug: str
    path: Path
    framework: Framework
    aspects: tuple[str, ...]
    benchmark: ImportedBenchmark | None = None

    def personas(self, limit: int | None) -> list[Persona]:
        """The first `limit` personas (an import's: all of them, ids as imported), without written descriptions."""
        if self.benchmark is None:
            return personas_of(self.slug, self.framework, limit)
        return with_opposites(
            [
                Persona(
                    framework=self.slug,
                    persona_id=persona.persona_id,
                    position=position,
                    name=persona.name,
                    framework_name=persona.framework,
                    description=None,
                    description_source="file",
                    status=NOT_ASKED,
                    traits={},
                )
                for position, persona in enumerate(self.benchmark.personas)
            ]
        )

    def framework_of(self, persona: Persona) -> Framework:
        """The framework that a persona's name belongs to; an import holds personas of several."""
        if self.benchmark is None:
            return self.framework
        return self.benchmark.frameworks()[self.benchmark.personas[persona.position].framework]

    def statements(self) -> list[Statement]:
        """An import's statements in file order; none for a framework of our own."""
        if self.benchmark is None:
            return []
        return [
            Statement(
                framework=self.slug,
                statement_id=statement.statement_id,
                persona_id=statement.persona_id,
                position=position,
                text=statement.text,
                agree=statement.agree,
                origin=Origin.IMPORTED,
            )
            for position, statement in enumerate(self.benchmark.statements)
        ]


def source_path(data: Path, slug: str) -> Path:
    """The file that a framework partition is made from."""
    if slug.startswith(IMPORT_PREFIX):
        return data / "imports" / slug / FILE
    return data / "frameworks" / f"{slug}.yaml"


def load_source(data: Path, slug: str) -> Source:
    """The framework of one partition, read and checked; raises `InputError`."""
    path = source_path(data, slug)
    if slug.startswith(IMPORT_PREFIX):
        benchmark = read_import(path.parent)
        return Source(slug, path, benchmark.framework(), (), benchmark)
    framework = load_framework(path)
    return Source(slug, path, framework, aspects_of(framework, data / "aspects.yaml"))
