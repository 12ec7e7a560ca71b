-- Analytics in plain SQL. Parameterised views: each is called like a function, with all of its
-- parameters by name, as ClickHouse knows no default for them.
--
--     SELECT * FROM number_stats(project = 'acme', path = 'feedback.score',
--         group_by = 'metadata.model', since = '2026-01-01', until = '2027-01-01')
--
--     project   the tenant, '' for all
--     path      what is measured: a path (feedback.score), or a column such as value or prompt;
--               weighted_feedback has none
--     group_by  a path or a column, '' for no groups. In the answer a group of NULL lacks the path
--     since     the first created_at, a date or a time, in UTC unless it names an offset
--     until     the end of created_at, itself excluded
--
-- number_stats, boolean_stats, string_counts and weighted_feedback give the numbers that
-- `afterword query` gives; several paths, buckets of time and "other" are for the command.
-- metadata._user, _organisation, _prompt and _environment are the columns user_id, organisation,
-- prompt and environment.

-- What the other four read: each feedback in its latest state, one column a type.
CREATE OR REPLACE VIEW feedback_measured AS
SELECT
    multiIf(
        {group_by:String} = '', NULL,
        {group_by:String} = 'project', toString(project),
        {group_by:String} = 'trace_id', nullIf(trace_id, ''),
        {group_by:String} = 'session_id', nullIf(session_id, ''),
        {group_by:String} = 'span_id', nullIf(span_id, ''),
        {group_by:String} = 'source', toString(source),
        {group_by:String} IN ('user_id', 'metadata._user'), nullIf(user_id, ''),
        {group_by:String} IN ('organisation', 'metadata._organisation'), nullIf(toString(organisation), ''),
        {group_by:String} IN ('prompt', 'metadata._prompt'), nullIf(toString(prompt), ''),
        {group_by:String} IN ('environment', 'metadata._environment'), nullIf(toString(environment), ''),
        {group_by:String} = 'feedback_id', toString(feedback_id),
        {group_by:String} = 'value', toString(value),
        {group_by:String} = 'weight', toString(weight),
        coalesce(strings[{group_by:String}], toString(booleans[{group_by:String}]), toString(numbers[{group_by:String}]))
    ) AS group,
    multiIf(
        {path:String} = 'value', toFloat64(value),
        {path:String} = 'weight', weight,
        numbers[{path:String}]
    ) AS number,
    booleans[{path:String}] AS boolean,
    multiIf(
        {path:String} = 'project', toString(project),
        {path:String} = 'trace_id', nullIf(trace_id, ''),
        {path:String} = 'session_id', nullIf(session_id, ''),
        {path:String} = 'span_id', nullIf(span_id, ''),
        {path:String} = 'source', toString(source),
        {path:String} IN ('user_id', 'metadata._user'), nullIf(user_id, ''),
        {path:String} IN ('organisation', 'metadata._organisation'), nullIf(toString(organisation), ''),
        {path:String} IN ('prompt', 'metadata._prompt'), nullIf(toString(prompt), ''),
        {path:String} IN ('environment', 'metadata._environment'), nullIf(toString(environment), ''),
        {path:String} = 'feedback_id', toString(feedback_id),
        strings[{path:String}]
    ) AS string,
    value AS vote,
    weight AS vote_weight
FROM feedback_current
WHERE ({project:String} = '' OR project = {project:String})
  AND created_at >= parseDateTime64BestEffort({since:String}, 3, 'UTC')
  AND created_at <  parseDateTime64BestEffort({until:String}, 3, 'UTC');

-- Percentiles as numpy.percentile gives them; the interval is Student's t at 95 %: from a table up
-- to 4 degrees of freedom, then by Abramowitz and Stegun, 26.7.5.
CREATE OR REPLACE VIEW number_stats AS
WITH stats AS (
    SELECT
        group,
        count() AS n,
        sum(number) AS total,
        stddevSampStable(number) AS deviation,
        min(number) AS lowest,
        max(number) AS highest,
        quantilesExactInclusive(0.5, 0.95, 0.98, 0.99)(number) AS quantiles
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
    quantiles[1] AS median,
    lowest AS min,
    highest AS max,
    quantiles[2] AS p95,
    quantiles[3] AS p98,
    quantiles[4] AS p99
FROM (
    SELECT *, if(n > 5,
        1.959963984540054 + 2.372271 / (n - 1) + 2.822499 / pow(n - 1, 2)
            + 2.55585 / pow(n - 1, 3) + 1.589534 / pow(n - 1, 4),
        [12.706205, 4.302653, 3.182446, 2.776445][n - 1]) AS t
    FROM stats
)
ORDER BY n DESC, group;

-- The interval is Wilson's at 95 %.
CREATE OR REPLACE VIEW boolean_stats AS
WITH stats AS (
    SELECT group, count() AS n, countIf(boolean) AS trues, pow(1.959963984540054, 2) AS z2
    FROM feedback_measured(project = {project:String}, path = {path:String},
        group_by = {group_by:String}, since = {since:String}, until = {until:String})
    WHERE boolean IS NOT NULL
    GROUP BY group
)
SELECT
    group,
    n,
    100 * trues / n AS true_percent,
    100 * greatest((trues + z2 / 2 - sqrt(z2 * (trues * (n - trues) / n + z2 / 4))) / (n + z2), 0)
        AS true_percent_low,
    100 * least((trues + z2 / 2 + sqrt(z2 * (trues * (n - trues) / n + z2 / 4))) / (n + z2), 1)
        AS true_percent_high,
    100 * (n - trues) / n AS false_percent
FROM stats
ORDER BY n DESC, group;

-- The share is of the feedback of the same group; the interval is Wilson's at 95 %.
CREATE OR REPLACE VIEW string_counts AS
WITH stats AS (
    SELECT group, string, count() AS n, pow(1.959963984540054, 2) AS z2
    FROM feedback_measured(project = {project:String}, path = {path:String},
        group_by = {group_by:String}, since = {since:String}, until = {until:String})
    WHERE string IS NOT NULL
    GROUP BY group, string
)
SELECT
    group,
    string AS value,
    n,
    100 * n / group_n AS percent,
    100 * greatest((n + z2 / 2 - sqrt(z2 * (n * (group_n - n) / group_n + z2 / 4))) / (group_n + z2), 0)
        AS percent_low,
    100 * least((n + z2 / 2 + sqrt(z2 * (n * (group_n - n) / group_n + z2 / 4))) / (group_n + z2), 1)
        AS percent_high
FROM (SELECT *, sum(n) OVER (PARTITION BY group) AS group_n FROM stats)
ORDER BY group_n DESC, group, n DESC, value;

-- The average of value by weight, NULL where the weights sum to 0; its interval takes the feedback
-- of a weight above 0 for one observation each. Use group_by = 'trace_id' for one row a trace.
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
        sqrt(counted / (counted - 1) * greatest(wwxx - 2 * mean * wwx + pow(mean, 2) * ww, 0)) / w
            AS error,
        if(counted > 5,
            1.959963984540054 + 2.372271 / (counted - 1) + 2.822499 / pow(counted - 1, 2)
                + 2.55585 / pow(counted - 1, 3) + 1.589534 / pow(counted - 1, 4),
            [12.706205, 4.302653, 3.182446, 2.776445][counted - 1]) AS t
    FROM stats
)
ORDER BY n DESC, group;
