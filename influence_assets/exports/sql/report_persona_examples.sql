-- Every persona with its first statement of either label.
SELECT
    p.framework,
    p.name,
    p.description,
    (
        SELECT arg_min(text, position)
        FROM personas.statements AS s
        WHERE s.persona_id = p.persona_id AND s.framework = p.framework AND s.agree
    ) AS would_say,
    (
        SELECT arg_min(text, position)
        FROM personas.statements AS s
        WHERE s.persona_id = p.persona_id AND s.framework = p.framework AND NOT s.agree
    ) AS would_not_say
FROM personas.personas AS p
ORDER BY p.framework, p.position
