-- Percentiles to the last digit as numpy.percentile gives them, for groups of up to 100,000 values: a
-- quantilesExactInclusive rounds otherwise, and is what larger groups get. All else of the view is as it was.

CREATE OR REPLACE VIEW number_stats AS
WITH stats AS (
    SELECT
        group,
        count() AS n,
        sum(number) AS total,
        stddevSampStable(number) AS deviation,
        min(number) AS lowest,
        max(number) AS highest,
        quantilesExactInclusive(0.5, 0.95, 0.98, 0.99)(number) AS quantiles,
        arraySort(groupArray(100000)(assumeNotNull(number))) AS sorted
    FROM feedback_measured(project = {project:String}, path = {path:String},
        group_by = {group_by:String}, since = {since:String}, until = {until:String})
    WHERE number IS NOT NULL
    GROUP BY group
)
SELECT
    group,
    n,
    total AS sum,
    total / n AS avg,
    if(n > 1, total / n - t * deviation / sqrt(n), NULL) AS avg_low,
    if(n > 1, total / n + t * deviation / sqrt(n), NULL) AS avg_high,
    percentiles[1] AS median,
    lowest AS min,
    highest AS max,
    percentiles[2] AS p95,
    percentiles[3] AS p98,
    percentiles[4] AS p99
FROM (
    SELECT
        *,
        if(n > 5,
            1.959963984540054 + 2.372271 / (n - 1) + 2.822499 / pow(n - 1, 2)
                + 2.55585 / pow(n - 1, 3) + 1.589534 / pow(n - 1, 4),
            [12.706205, 4.302653, 3.182446, 2.776445][n - 1]) AS t,
        if(n > 100000, quantiles, arrayMap(
            (low, high, past) -> if(past >= 0.5, high - (high - low) * (1 - past), low + (high - low) * past),
            arrayMap(level -> sorted[toUInt64(floor((n - 1) * level)) + 1], [0.5, 0.95, 0.98, 0.99]),
            arrayMap(level -> sorted[least(toUInt64(floor((n - 1) * level)) + 2, n)], [0.5, 0.95, 0.98, 0.99]),
            arrayMap(level -> (n - 1) * level - floor((n - 1) * level), [0.5, 0.95, 0.98, 0.99]))) AS percentiles
    FROM stats
)
ORDER BY n DESC, group;
