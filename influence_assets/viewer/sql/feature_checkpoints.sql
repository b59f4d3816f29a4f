-- Checkpoints that any table of features has rows of, from the catalogue's own records.
SELECT DISTINCT partition['model'] AS model, TRY_CAST(partition['iteration'] AS INTEGER) AS iteration
FROM _catalog.files
WHERE starts_with(table_name, 'features.') AND rows > 0 AND TRY_CAST(partition['iteration'] AS INTEGER) IS NOT NULL
ORDER BY model, iteration
