-- Every random direction at the reference coefficient: the shift of every trait.
PIVOT (
    SELECT "index" AS direction, trait, round(shift, 4) AS shift
    FROM features.steering
    WHERE iteration = 0 AND method = 'random' AND coefficient > 0
)
ON trait USING first(shift) GROUP BY direction ORDER BY direction
