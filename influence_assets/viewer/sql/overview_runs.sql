-- The latest materialization of every asset and partition.
SELECT
    asset,
    partition,
    sum(rows)::BIGINT AS rows,
    max(finished_at) AS finished_at,
    epoch(max(finished_at) - min(started_at)) AS seconds,
    bool_and(reused) AS reused,
    any_value(git_commit) AS git_commit,
    run_id
FROM ledger.materializations
GROUP BY asset, partition, run_id
QUALIFY row_number() OVER (PARTITION BY asset, partition ORDER BY max(finished_at) DESC) = 1
ORDER BY finished_at DESC, asset
