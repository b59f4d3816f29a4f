-- Every measure of one model over its iterations.
SELECT *
FROM influence.metrics
WHERE model = $model
ORDER BY measure, user_kind, iteration
