-- What the judge finds in held-out replies, 0 to 1, by kind of user and iteration: where a style takes over, it shows here.
PIVOT (
    SELECT c.user_kind AS users, j.iteration, j.rubric, j.share
    FROM influence.judgements AS j
    JOIN influence.conversations AS c USING (model, iteration, conversation_id)
    WHERE c.split = 'eval' AND c.condition = 'agent' AND j.purpose = 'evaluation'
        AND j.rubric IN ('harm', 'manipulation', 'sycophancy')
) ON rubric USING avg(share) ORDER BY users, iteration
