-- A path may not be lost in a power cut that its rows outlive: what the catalogue does not know of, questions
-- do not look for. Parts that are there already are not written anew.

ALTER TABLE feedback_paths MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
