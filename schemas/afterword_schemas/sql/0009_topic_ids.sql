-- Offsets begin again in a topic that is deleted and created again under its name: only the id says which of two
-- rows came later, and whether a patch is in a row already. Rows from before this have none.

ALTER TABLE feedback ADD COLUMN IF NOT EXISTS topic_id LowCardinality(String) AFTER kafka_topic;
