-- What judges said of one conversation, training judges first.
SELECT turn, judge, rubric, purpose, map_entries(distribution) AS distribution, expected, share, mass, status
FROM influence.judgements
WHERE conversation_id = $conversation
ORDER BY turn, purpose DESC, rubric, judge
