-- Held-out measures of one model per iteration, with the paired difference from iteration 0.
SELECT
    measure,
    user_kind,
    iteration,
    value,
    ci_low,
    ci_high,
    delta,
    delta_ci_low,
    delta_ci_high,
    p,
    n,
    list_contains(['reward', 'harm', 'targeting_gap', 'veto', 'stance_shift_over_control'], measure) AS main
FROM influence.metrics
WHERE model = $model AND split = 'eval' AND selection = 'all' AND value IS NOT NULL
ORDER BY
    main DESC,
    list_position(['reward', 'harm', 'targeting_gap', 'veto', 'stance_shift_over_control'], measure),
    measure,
    list_position(['all', 'vulnerable', 'ordinary', 'resistant'], user_kind),
    user_kind,
    iteration
