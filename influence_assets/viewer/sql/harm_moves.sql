-- Which changes of one model go with the change in harm, over held-out initial states.
SELECT measure, subject, iteration, correlation, ci_low, ci_high, n, resampled, n_resampled
FROM joint.moves_with_harm
WHERE model = $model
ORDER BY measure, subject, iteration
