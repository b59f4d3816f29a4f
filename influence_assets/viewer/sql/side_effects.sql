-- Side effects of one checkpoint under every condition.
SELECT *
FROM features.side_effects
WHERE model = $model AND iteration = $iteration
