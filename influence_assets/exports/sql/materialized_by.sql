-- The materialization that first landed this data version: its commit, packages and time.
SELECT git_commit, seed, packages, started_at
FROM ledger.materializations
WHERE table_name = $table_name AND data_version = $data_version
ORDER BY started_at
LIMIT 1
