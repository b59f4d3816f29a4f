-- One conversation with what the training judges made of it.
SELECT c.*, t.reward, t.veto, s.chosen AS verdict, s.rank
FROM influence.conversations AS c
LEFT JOIN influence.trajectories AS t USING (model, iteration, conversation_id)
LEFT JOIN influence.selections AS s USING (model, iteration, conversation_id)
WHERE c.conversation_id = $conversation
LIMIT 1
