"""Dagster's daemon with ticks of two seconds, and a backfill to keep it busy, in the project that INFLUENCE_ROOT names.

`python -m tests.faults.quick_daemon request ASSET...` writes a backfill of all models into Dagster's records and prints
its id; `... run` serves as the daemon until it is killed. It is Dagster's own daemon; only its waiting is shorter.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon import controller

DAEMONS = ("BACKFILL", "QUEUED_RUN_COORDINATOR", "MONITORING", "EVENT_LOG_CONSUMER", "SENSOR")
CHECKOUT = Path(__file__).resolve().parents[2]


def request(names: list[str]) -> str:
    """A backfill of these assets over all models, as the UI writes it."""
    from influence_assets.definitions import defs
    from influence_assets.partitions import MODELS

    graph = defs.resolve_asset_graph()
    keys = [key for key in graph.materializable_asset_keys if key.path[-1] in names]
    assert len(keys) == len(names)
    backfill_id = uuid.uuid4().hex[:8]
    with dg.DagsterInstance.get() as instance:
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id=backfill_id,
                asset_graph=graph,
                partition_names=MODELS.get_partition_keys(),
                asset_selection=keys,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        )
    return backfill_id


def serve() -> None:
    """Be the daemon."""
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
    target = WorkspaceFileTarget(paths=[str(CHECKOUT / "workspace.yaml")])
    with (
        dg.DagsterInstance.get() as instance,
        controller.daemon_controller_from_instance(
            instance,
            target,
            gen_daemons=lambda one: [controller.create_daemon_of_type(name, one) for name in DAEMONS],
        ) as daemon,
    ):
        daemon.check_daemon_loop()


if __name__ == "__main__":
    if sys.argv[1] == "request":
        print(request(sys.argv[2:]))
    else:
        serve()
