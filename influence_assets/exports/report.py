"""`influence export report`: a study on one page that needs nothing else and can be mailed.

The page holds its style and its pictures, has no script, and forbids itself to load anything. Every text that a model
or a file gave is escaped by the template and has its unseen characters shown. The same tables give the same page: its
date is that of the last landed rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from influence_assets.exports.asset_checks import CheckOutcome, Verdict
from influence_assets.exports.report_account import Account, account_of, ask
from influence_assets.exports.report_features import Section, feature_sections
from influence_assets.exports.report_influence import InfluenceResult, influence_results
from influence_assets.exports.report_limits import Facts, limits_of
from influence_assets.exports.report_parts import Grid, harmless, number, shown
from influence_assets.exports.report_steerability import SteeringResult, steering_results
from influence_assets.project import STUDY_FILE, Project
from influence_assets.study import Study
from resources.content import sha256_of_files
from resources.durable import write_whole
from resources.errors import InputError

TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class Report:
    """Everything that stands on the page."""

    study: Study
    study_text: str
    study_sha256: str
    personas: Grid
    persona_examples: Grid
    environments: Grid
    steerability: tuple[SteeringResult, ...]
    influence: tuple[InfluenceResult, ...]
    sections: tuple[Section, ...]
    account: Account
    limits: tuple[str, ...]


def write_report(project: Project, checks: Sequence[CheckOutcome], path: Path) -> Path:
    """Write the page; an old one of that name is replaced. Raises `InputError` where the folder is missing."""
    path = path.absolute()
    if not path.parent.is_dir():
        raise InputError("there is no such folder", field="OUT.html", value=str(path.parent), fix="make it first")
    if path.is_dir():
        raise InputError("is a folder", field="OUT.html", value=str(path), fix="name a file to write")
    write_whole(path, rendered(gathered(project, checks)).encode(), path.parent)
    return path


def gathered(project: Project, checks: Sequence[CheckOutcome]) -> Report:
    """The report's content from the tables as they are published. With empty tables it is a report of the design."""
    warehouse = project.warehouse
    warehouse.publish()
    study_file = project.root / STUDY_FILE
    personas, environments = ask(warehouse, "report_personas"), ask(warehouse, "report_environments")
    held = environments.filter(pl.col("conversations") > 0)
    steerability, influence = steering_results(warehouse), influence_results(warehouse)
    account = account_of(project, checks)
    facts = Facts(
        models=tuple(dict.fromkeys([*(one.model for one in steerability), *(one.model for one in influence)])),
        n_environments=held.height,
        n_personas=int(personas["personas"].sum()),
        trained=bool(ask(warehouse, "report_checkpoints").filter(pl.col("iteration") > 0).height),
        checks_passed=all(one.verdict is Verdict.PASSED for one in checks),
        edited_checkout=account.edited_checkout,
    )
    return Report(
        study=project.study,
        study_text=harmless(study_file.read_text(encoding="utf-8")),
        study_sha256=sha256_of_files([study_file]),
        personas=Grid.of_frame("Persona frameworks.", personas),
        persona_examples=Grid.of_frame("Personas.", ask(warehouse, "report_persona_examples")),
        environments=Grid.of_frame("Environments.", environments),
        steerability=tuple(steerability),
        influence=tuple(influence),
        sections=tuple(feature_sections(warehouse)),
        account=account,
        limits=limits_of(project.study, facts),
    )


def rendered(report: Report) -> str:
    """The page as HTML. Values are data: none is read as a template, and every one is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "number": number}
    return environment.get_template(TEMPLATE).render(report=report, study=report.study, account=report.account)
