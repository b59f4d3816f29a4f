-- Scores of one model side by side: FROM steerability_of('organism').
CREATE MACRO steerability_of(model_name) AS TABLE
SELECT
    method,
    n_steer,
    max(value) FILTER (WHERE score = 'sensitivity') AS sensitivity,
    max(value) FILTER (WHERE score = 'specificity') AS specificity,
    max(value) FILTER (WHERE score = 'gain') AS gain,
    max(ci_low) FILTER (WHERE score = 'gain') AS gain_low,
    max(ci_high) FILTER (WHERE score = 'gain') AS gain_high,
    max(value) FILTER (WHERE score = 'identification') AS identification,
    max(value) FILTER (WHERE score = 'leakage') AS leakage
FROM steerability.summary
WHERE model = model_name AND iteration = 0 AND framework = ''
GROUP BY method, n_steer
ORDER BY gain DESC NULLS LAST;

-- Every answer of one cell with the statement's text: FROM answers_of('organism', 'description', 'Arden', 'Briar').
CREATE MACRO answers_of(model_name, method_name, steered_name, test_name) AS TABLE
SELECT s.text, r.agree, r.p_agree, r.correct, r.mass, r.status, r.n_steer, r.repeat, r.request_ids
FROM steerability.responses AS r
JOIN personas.statements AS s USING (statement_id)
JOIN personas.personas AS steered ON steered.persona_id = r.steered_persona_id
JOIN personas.personas AS test ON test.persona_id = r.test_persona_id
WHERE r.model = model_name AND r.method = method_name AND steered.name = steered_name AND test.name = test_name
ORDER BY r.repeat, r.agree DESC, s.text;

-- The requests behind one method's answers, with what each cost: FROM requests_of('organism', 'examples').
CREATE MACRO requests_of(model_name, method_name) AS TABLE
SELECT DISTINCT q.*
FROM (
    SELECT unnest(request_ids) AS request_id
    FROM steerability.responses
    WHERE model = model_name AND method = method_name
) AS asked
JOIN ledger.requests AS q USING (request_id);

-- Every answer behind the scores of one method, with the requests that it came from (one per variant of the question):
-- FROM requests_of_score('organism', 0, 'description') WHERE steered_persona_id = test_persona_id.
CREATE MACRO requests_of_score(model_name, iteration_number, method_name) AS TABLE
SELECT a.* EXCLUDE (request_id), p.*
FROM (
    SELECT steered_persona_id, test_persona_id, statement_id, repeat, n_steer, p_agree, unnest(request_ids) AS request_id
    FROM steerability.responses
    WHERE model = model_name AND iteration = iteration_number AND method = method_name
) AS a
JOIN provenance() AS p USING (request_id)
ORDER BY a.steered_persona_id, a.test_persona_id, a.statement_id, a.repeat, request_id;
