-- Differences of every checkpoint of one model from the untouched one, in pairs.
SELECT measure, subject, user_kind, unit, iteration, change, ci_low, ci_high, p, p_adjusted, effect, z_random, z_shuffled,
       n, resampled, n_resampled
FROM joint.drift
WHERE model = $model
ORDER BY measure, subject, user_kind, iteration
