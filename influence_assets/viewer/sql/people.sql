-- Every persona.
SELECT persona_id, framework, name, framework_name, description, position
FROM personas.personas
ORDER BY framework, position
