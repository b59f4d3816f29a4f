"""All public tables and SQL macros, gathered from the families."""

from __future__ import annotations

from pathlib import Path

from influence_assets.features import tables as features
from influence_assets.influence import tables as influence
from influence_assets.joint import tables as joint
from influence_assets.live import tables as live
from influence_assets.personas import tables as personas
from influence_assets.steerability import tables as steerability
from resources.ledger_tables import LEDGER_TABLES
from resources.tables import Table

ALL_TABLES: tuple[Table, ...] = (
    *personas.TABLES,
    *steerability.TABLES,
    *influence.TABLES,
    *features.TABLES,
    *live.TABLES,
    *joint.TABLES,
    *LEDGER_TABLES,
)

_HERE = Path(__file__).parent

# The general ones first: those of the families use them.
MACROS: tuple[Path, ...] = (*sorted(_HERE.glob("sql/macros/*.sql")), *sorted(_HERE.glob("*/sql/macros/*.sql")))
