-- Rows per table.
SELECT table_name, CAST(sum(rows) AS BIGINT) AS rows, count(*) AS partitions, max(landed_at) AS last_landed
FROM _catalog.files
GROUP BY table_name
ORDER BY table_name
