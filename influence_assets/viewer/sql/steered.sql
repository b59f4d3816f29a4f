-- What was measured: every model, checkpoint and steering method with its number of personas.
SELECT model, iteration, method, n_steer, count(DISTINCT steered_persona_id) AS personas
FROM steerability.matrix
GROUP BY model, iteration, method, n_steer
ORDER BY model, iteration, method, n_steer
