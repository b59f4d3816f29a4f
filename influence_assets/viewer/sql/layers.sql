-- Candidate layers of one checkpoint.
SELECT *
FROM features.layers
WHERE model = $model AND iteration = $iteration
ORDER BY layer
