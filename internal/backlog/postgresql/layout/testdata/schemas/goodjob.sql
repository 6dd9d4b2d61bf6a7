-- The table of GoodJob 4.11 (lib/generators/good_job/templates/install/migrations/create_good_jobs.rb.erb): the columns that are read.
CREATE TABLE good_jobs (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(), queue_name text, priority integer, serialized_params jsonb,
	scheduled_at timestamp(6), performed_at timestamp(6), finished_at timestamp(6), error text,
	created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL, concurrency_key text, locked_by_id uuid, locked_at timestamp(6)
);
CREATE INDEX index_good_jobs_on_scheduled_at ON good_jobs (scheduled_at) WHERE finished_at IS NULL;
CREATE INDEX index_good_jobs_on_queue_name_and_scheduled_at ON good_jobs (queue_name, scheduled_at) WHERE finished_at IS NULL;
