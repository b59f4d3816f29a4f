-- One row per framework: personas of the study, statements written and kept, and what the audits said.
SELECT
    f.framework,
    f.about,
    count(DISTINCT p.persona_id) AS personas,
    any_value(c.candidates) AS written,
    any_value(s.kept) AS kept,
    any_value(a.audits) AS audits
FROM personas.frameworks AS f
LEFT JOIN personas.personas AS p USING (framework)
LEFT JOIN (
    SELECT framework, count(*) AS candidates FROM personas.candidate_statements WHERE status = 'ok' GROUP BY framework
) AS c USING (framework)
LEFT JOIN (SELECT framework, count(*) AS kept FROM personas.statements GROUP BY framework) AS s USING (framework)
LEFT JOIN (
    SELECT
        framework,
        concat_ws(
            ', ',
            count(*) FILTER (WHERE status = 'pass') || ' passed',
            nullif(count(*) FILTER (WHERE status = 'warn'), 0) || ' warned',
            nullif(count(*) FILTER (WHERE status = 'fail'), 0) || ' failed'
        ) AS audits
    FROM personas.statement_audit
    GROUP BY framework
) AS a USING (framework)
GROUP BY f.framework, f.about
ORDER BY f.framework
