-- Texts by their ids, which are hashes: a list of them, joined by commas.
SELECT DISTINCT text_id, text
FROM features.contrast_texts
WHERE text_id IN (SELECT unnest(string_split($ids, ',')))
