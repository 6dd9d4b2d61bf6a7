-- The tables of BullMQ 6.7.0 (src/postgres/migrations/0001_schema.sql): the columns that are read.
CREATE SCHEMA bullmq;
CREATE TYPE bullmq.job_state AS ENUM ('waiting', 'active', 'completed', 'failed', 'delayed', 'waiting-children');
CREATE SEQUENCE bullmq.job_seq;
CREATE TABLE bullmq.meta (queue text NOT NULL, field text NOT NULL, value text, PRIMARY KEY (queue, field));
CREATE TABLE bullmq.job (
	queue text NOT NULL, id text NOT NULL, seq bigint NOT NULL, name text NOT NULL, state bullmq.job_state NOT NULL,
	priority integer NOT NULL DEFAULT 0, added_at_ms bigint NOT NULL, process_at_ms bigint, locked_until_ms bigint,
	PRIMARY KEY (queue, id)
);
CREATE INDEX job_ready_idx ON bullmq.job (queue, priority, seq) WHERE state = 'waiting';
CREATE INDEX job_delayed_idx ON bullmq.job (queue, process_at_ms) WHERE state = 'delayed';
CREATE INDEX job_active_idx ON bullmq.job (queue, locked_until_ms) WHERE state = 'active';
