SELECT iteration, measure, user_kind, value, ci_low, ci_high, delta, p
FROM influence.metrics
WHERE split = 'eval' AND selection = 'all' AND measure IN ('reward', 'harm', 'targeting_gap')
ORDER BY measure, user_kind, iteration
