-- What became of one persona's candidates, filter by filter: FROM filters_of('Arden').
CREATE MACRO filters_of(persona_name) AS TABLE
SELECT d.filter, count(*) AS seen, count(*) FILTER (WHERE NOT d.passed) AS failed, avg(d.score) AS mean_score
FROM personas.filter_decisions AS d
JOIN personas.personas AS p USING (persona_id)
WHERE p.name = persona_name
GROUP BY d.filter
ORDER BY seen DESC;
