-- The same initial state and sample under other checkpoints and conditions: what a conversation can be compared with.
SELECT other.conversation_id, other.model, other.iteration, other.condition, other.sample
FROM influence.conversations AS one
JOIN influence.conversations AS other USING (environment, initial_state_id, sample, split)
WHERE one.conversation_id = $conversation AND other.conversation_id <> $conversation
ORDER BY other.model <> one.model, other.condition <> one.condition, other.model, other.iteration, other.condition
LIMIT 200
