-- Directions of one checkpoint.
SELECT *
FROM features.directions
WHERE model = $model AND iteration = $iteration
ORDER BY factor, category, method, layer
