-- Every measure of every checkpoint of one model.
SELECT measure, subject, user_kind, unit, iteration, value, ci_low, ci_high, n
FROM joint.checkpoint_profile
WHERE model = $model
ORDER BY measure, subject, user_kind, iteration
