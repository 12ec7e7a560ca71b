-- The state of every feedback event, what was refused, and which paths exist.

CREATE TABLE IF NOT EXISTS feedback
(
    project         LowCardinality(String),
    feedback_id     UUID,
    trace_id        String,
    session_id      String,
    span_id         String,
    source          LowCardinality(String),
    user_id         String,
    organisation    LowCardinality(String),
    prompt          LowCardinality(String),
    environment     LowCardinality(String),
    value           Nullable(Int8),
    weight          Float64,
    -- Nullable values make a missing path NULL, so that aggregates pass it over without a guard.
    numbers         Map(LowCardinality(String), Nullable(Float64)),
    booleans        Map(LowCardinality(String), Nullable(Bool)),
    strings         Map(LowCardinality(String), Nullable(String)),
    created_at      DateTime64(3, 'UTC'),
    updated_at      DateTime64(3, 'UTC'),
    ingested_at     DateTime64(3, 'UTC') DEFAULT now64(3),
    is_deleted      UInt8,
    kafka_topic     LowCardinality(String),
    kafka_partition UInt32,
    kafka_offset    UInt64,
    -- By time, and within a millisecond by offset: of equal versions the last inserted would win, and
    -- that may be an old row which a worker that lost its partition inserts late.
    version         UInt128 DEFAULT
        bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(updated_at)), 64), toUInt128(kafka_offset)),

    INDEX created_at_range created_at TYPE minmax GRANULARITY 1,
    INDEX trace_id_bloom   trace_id   TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX session_id_bloom session_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX user_id_bloom    user_id    TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version, is_deleted)
-- By identity alone: with a date in it, the same feedback sent on another day would count twice.
-- An id that is no version 7, or carries an odd time, falls into partition 0.
PARTITION BY if(
    substring(toString(feedback_id), 15, 1) = '7'
        AND UUIDv7ToDateTime(feedback_id, 'UTC') >= toDateTime64('2015-01-01 00:00:00', 3, 'UTC')
        AND UUIDv7ToDateTime(feedback_id, 'UTC') <  toDateTime64('2050-01-01 00:00:00', 3, 'UTC'),
    toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC')),
    0)
-- ClickHouse compares UUIDs by their second half; as a number, version 7 is in order of time.
ORDER BY (project, toUInt128(feedback_id))
-- What is acknowledged is committed in Kafka: it must survive a power cut.
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS feedback_rejected
(
    kafka_topic     LowCardinality(String),
    topic_id        String,
    kafka_partition UInt32,
    kafka_offset    UInt64,
    published_at    DateTime64(3, 'UTC'),
    rejected_at     DateTime64(3, 'UTC'),
    -- 1970 while it was not: the version column, so that a rejection redelivered after the replay
    -- cannot undo it, and a version column is never NULL.
    replayed_at     DateTime64(3, 'UTC') DEFAULT toDateTime64(0, 3, 'UTC'),
    code            LowCardinality(String),
    path            String,
    detail          String,
    -- Bytes as they came, which may be no UTF-8. A message without a payload is stored as ''.
    message_key     String,
    headers         Array(Tuple(name String, value String)),
    payload         String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(replayed_at)
ORDER BY (topic_id, kafka_partition, kafka_offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS feedback_paths
(
    project    LowCardinality(String),
    path       String,
    type       LowCardinality(String),
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_seen  SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    example    SimpleAggregateFunction(any, String)
)
ENGINE = AggregatingMergeTree
ORDER BY (project, path, type);
