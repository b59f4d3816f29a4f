-- Every measure that is not of a trait, iteration by iteration: its change from the untouched model in pairs.
SELECT d.measure, d.subject, d.user_kind AS users, d.iteration, before.value AS untouched, d.change, d.ci_low AS low,
       d.ci_high AS high, d.p_adjusted AS p, d.n
FROM joint.drift AS d
JOIN joint.checkpoint_profile AS before USING (model, measure, subject, user_kind)
WHERE before.iteration = 0 AND d.measure NOT IN ('trait_score', 'projection_replies', 'projection_words', 'projection_neutral')
ORDER BY d.measure, d.subject, d.user_kind, d.iteration
