-- Votes in either spelling, so that nobody has to know both: `thumbs_up` is true, false, or NULL for no vote.

CREATE OR REPLACE VIEW feedback_current AS
SELECT
    * EXCEPT (is_deleted, version),
    -- What people only did (copied, asked again) is no vote. A value of 0 is none either.
    multiIf(
        source != 'explicit', NULL,
        value IS NULL, booleans['feedback.rating'],
        value = 0, NULL,
        toBool(value > 0)
    ) AS thumbs_up
FROM feedback FINAL
-- An id never changes its partition, so each can be collapsed by itself.
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- The four parameterised views take `thumbs` as path (a boolean: true is up) and as group (up, down).
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
        {group_by:String} = 'thumbs', multiIf(thumbs_up, 'up', NOT thumbs_up, 'down', NULL),
        coalesce(strings[{group_by:String}], toString(booleans[{group_by:String}]), toString(numbers[{group_by:String}]))
    ) AS group,
    multiIf(
        {path:String} = 'value', toFloat64(value),
        {path:String} = 'weight', weight,
        numbers[{path:String}]
    ) AS number,
    if({path:String} = 'thumbs', thumbs_up, booleans[{path:String}]) AS boolean,
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
