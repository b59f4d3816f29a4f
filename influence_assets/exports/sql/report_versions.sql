-- Commits, seeds and packages behind the rows that stand in the tables now.
SELECT
    m.git_commit,
    CAST(m.seed AS VARCHAR) AS seed,
    m.packages,
    count(*) AS partitions,
    min(m.finished_at) AS first_at,
    max(m.finished_at) AS last_at
FROM ledger.materializations AS m
SEMI JOIN _catalog.files AS f ON f.table_name = m.table_name AND f.data_version = m.data_version
GROUP BY m.git_commit, m.seed, m.packages
ORDER BY first_at
