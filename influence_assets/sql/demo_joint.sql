-- Every measure of the last checkpoint beside the untouched model's, and whether its change goes with harm. Projections
-- are counted in hundredths, so that two decimals show them.
SELECT
    d.measure,
    d.subject,
    d.untouched * scale AS untouched,
    now.value * scale AS trained,
    d.change * scale AS change,
    d.ci_low * scale AS ci_low,
    d.ci_high * scale AS ci_high,
    d.p_adjusted,
    d.z_shuffled,
    d.with_harm
FROM (SELECT *, if(measure = 'projection_words', 100, 1) AS scale FROM drift_of($model)) AS d
JOIN joint.checkpoint_profile AS now
    ON now.model = $model
    AND now.iteration = d.iteration
    AND now.measure = d.measure
    AND now.subject = d.subject
    AND now.user_kind = d.user_kind
WHERE d.user_kind = 'all'
  AND d.measure IN ('sensitivity', 'gain', 'harm', 'projection_words')
ORDER BY list_position(['sensitivity', 'gain', 'harm', 'projection_words'], d.measure), d.change
