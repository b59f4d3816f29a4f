-- Where the simulated user stood before and after one conversation.
SELECT condition, moment, expected, mass, status
FROM influence.stance_probes
WHERE conversation_id = $conversation
ORDER BY condition, moment DESC
