"""From printed counts and durations to facts that may be counted, no patient twice.

One room for each table of facts: `share_facts` (who became free of insulin, who responded),
`duration_facts` (for how long), `harm_facts` (who was harmed). Behind the first two: `ever_free`,
`duration_readings` (what one study says of durations) and `independence` (rows of that table).
"""
