-- What analysts start from: one row for each feedback that was given and not taken back.

CREATE OR REPLACE VIEW feedback_current AS
SELECT * EXCEPT (is_deleted, version)
FROM feedback FINAL
-- An id never changes its partition, so each can be collapsed by itself.
SETTINGS do_not_merge_across_partitions_select_final = 1;
