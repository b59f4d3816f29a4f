-- Each way of steering a trait toward one of its poles, of one checkpoint: its curve in numbers, with its controls.
SELECT *
FROM features.dose_response
WHERE model = $model AND iteration = $iteration
ORDER BY trait, category, shift DESC NULLS LAST, method
