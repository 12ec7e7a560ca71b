-- Where all votes agree, what rounding has left of the squares is no spread: the view says so as questions do.

CREATE OR REPLACE VIEW weighted_feedback AS
WITH stats AS (
    SELECT
        group,
        count() AS n,
        countIf(vote_weight > 0) AS counted,
        sum(vote_weight) AS w,
        sum(vote_weight * vote) AS wx,
        sum(pow(vote_weight, 2)) AS ww,
        sum(pow(vote_weight, 2) * vote) AS wwx,
        sum(pow(vote_weight * vote, 2)) AS wwxx
    FROM feedback_measured(project = {project:String}, path = 'value',
        group_by = {group_by:String}, since = {since:String}, until = {until:String})
    WHERE vote IS NOT NULL
    GROUP BY group
)
SELECT
    group,
    n,
    w AS weight_sum,
    if(w > 0, mean, NULL) AS weighted_avg,
    if(counted > 1, mean - t * error, NULL) AS weighted_avg_low,
    if(counted > 1, mean + t * error, NULL) AS weighted_avg_high
FROM (
    SELECT
        *,
        wx / w AS mean,
        wwxx - 2 * mean * wwx + pow(mean, 2) * ww AS squares,
        sqrt(counted / (counted - 1) * if(squares > 1e-12 * wwxx, squares, 0) / pow(w, 2)) AS error,
        if(counted > 5,
            1.959963984540054 + 2.372271 / (counted - 1) + 2.822499 / pow(counted - 1, 2)
                + 2.55585 / pow(counted - 1, 3) + 1.589534 / pow(counted - 1, 4),
            [12.706205, 4.302653, 3.182446, 2.776445][counted - 1]) AS t
    FROM stats
)
ORDER BY n DESC, group;
