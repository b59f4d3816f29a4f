-- What was said in one conversation, a stretch of it at a time; `n` is how much there is in all.
SELECT turn, position, role, content, state, status, count(*) OVER () AS n
FROM influence.turns
WHERE conversation_id = $conversation
ORDER BY position
LIMIT $limit OFFSET $offset
