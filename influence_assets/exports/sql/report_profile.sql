-- Every measure of every checkpoint, side by side.
SELECT model,
       concat_ws(' ', measure, nullif(subject, ''), CASE WHEN user_kind <> 'all' THEN user_kind END) AS measure,
       iteration, value, ci_low, ci_high, n
FROM joint.checkpoint_profile
WHERE value IS NOT NULL
ORDER BY model, measure, iteration
