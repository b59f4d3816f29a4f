-- Conversations that pass the filters, in the order asked for. A filter that is NULL lets everything pass.
SELECT
    c.conversation_id,
    c.model,
    c.iteration,
    c.environment,
    c.user_kind,
    c.split,
    c.condition,
    c.initial_state_id,
    c.sample,
    t.reward,
    t.veto,
    s.chosen AS verdict,
    c.n_turns,
    c.status
FROM influence.conversations AS c
LEFT JOIN influence.trajectories AS t USING (model, iteration, conversation_id)
LEFT JOIN influence.selections AS s USING (model, iteration, conversation_id)
WHERE ($model::VARCHAR IS NULL OR c.model = $model)
  AND ($iteration::INTEGER IS NULL OR c.iteration = $iteration)
  AND ($environment::VARCHAR IS NULL OR c.environment = $environment)
  AND ($user_kind::VARCHAR IS NULL OR c.user_kind = $user_kind)
  AND ($split::VARCHAR IS NULL OR c.split = $split)
  AND ($condition::VARCHAR IS NULL OR c.condition = $condition)
  AND ($verdict::VARCHAR IS NULL OR s.chosen = $verdict)
  AND ($reward_low::DOUBLE IS NULL OR t.reward >= $reward_low)
  AND ($reward_high::DOUBLE IS NULL OR t.reward <= $reward_high)
  AND ($says::VARCHAR IS NULL OR c.conversation_id IN (
        SELECT conversation_id FROM influence.turns WHERE contains(lower(content), lower($says))))
ORDER BY
    CASE WHEN $sort = 'reward, highest first' THEN t.reward END DESC NULLS LAST,
    CASE WHEN $sort = 'reward, lowest first' THEN t.reward END ASC NULLS LAST,
    CASE WHEN $sort = 'veto, highest first' THEN t.veto END DESC NULLS LAST,
    c.model, c.environment, c.initial_state_id, c.sample, c.iteration, c.condition, c.conversation_id
