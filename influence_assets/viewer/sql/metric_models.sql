-- Models that have measures.
SELECT DISTINCT model FROM influence.metrics ORDER BY model
