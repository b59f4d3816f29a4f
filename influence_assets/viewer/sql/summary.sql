-- Scores over all personas, of every method of one checkpoint.
SELECT *
FROM steerability.summary
WHERE model = $model AND iteration = $iteration
ORDER BY score, value DESC NULLS LAST
