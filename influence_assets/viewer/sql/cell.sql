-- The answers of one cell, statement by statement.
SELECT s.text, r.agree, r.p_agree, r.correct, r.mass, r.status, r.repeat, r.statement_id
FROM steerability.responses AS r
LEFT JOIN personas.statements AS s USING (statement_id)
WHERE r.model = $model AND r.iteration = $iteration AND r.method = $method AND r.n_steer = $n_steer
  AND r.steered_persona_id = $steered AND r.test_persona_id = $tested
ORDER BY r.correct NULLS FIRST, abs(r.p_agree - r.agree::INTEGER) DESC NULLS FIRST, s.text
