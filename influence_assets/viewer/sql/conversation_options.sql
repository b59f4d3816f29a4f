-- What conversations can be filtered by.
SELECT
    coalesce(list(DISTINCT model ORDER BY model), []) AS model,
    coalesce(list(DISTINCT iteration ORDER BY iteration), []) AS iteration,
    coalesce(list(DISTINCT environment ORDER BY environment), []) AS environment,
    coalesce(list(DISTINCT user_kind ORDER BY user_kind), []) AS user_kind,
    coalesce(list(DISTINCT split ORDER BY split), []) AS split,
    coalesce(list(DISTINCT condition ORDER BY condition), []) AS condition,
    coalesce((SELECT list(DISTINCT chosen ORDER BY chosen) FROM influence.selections), []) AS verdict,
    (SELECT min(reward) FROM influence.trajectories) AS reward_low,
    (SELECT max(reward) FROM influence.trajectories) AS reward_high
FROM influence.conversations
