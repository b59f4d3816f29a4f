-- What was learned from: conversations by verdict, per iteration of one model.
SELECT iteration, chosen AS verdict, count(*) AS conversations, avg(reward) AS mean_reward, avg(veto) AS mean_veto,
       count(*) FILTER (WHERE tied) AS tied
FROM influence.selections
WHERE model = $model
GROUP BY iteration, chosen
ORDER BY iteration, mean_reward DESC NULLS LAST
