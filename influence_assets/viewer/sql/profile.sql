-- Every measure of every checkpoint of one model.
SELECT model, iteration, measure, value, ci_low, ci_high, n
FROM joint.checkpoint_profile
WHERE model = $model
ORDER BY measure, iteration
