-- What every column of every table holds.
SELECT table_name, column_name, type, comment
FROM _catalog.columns
ORDER BY table_name, position
