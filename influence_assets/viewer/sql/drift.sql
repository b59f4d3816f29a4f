-- Differences from the untouched model, paired where the measure allows.
SELECT *
FROM joint.drift
WHERE model = $model
