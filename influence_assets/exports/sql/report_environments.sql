-- One row per environment with the conversations that were held in it.
SELECT
    e.family,
    e.environment,
    e.user_kind,
    e.about,
    array_to_string(map_keys(e.harm), ', ') AS harm,
    e.n_train AS training_states,
    e.n_eval AS held_out_states,
    count(c.conversation_id) AS conversations
FROM influence.environments AS e
LEFT JOIN influence.conversations AS c ON c.family = e.family AND c.environment = e.environment AND c.condition = 'agent'
GROUP BY ALL
ORDER BY family, environment
