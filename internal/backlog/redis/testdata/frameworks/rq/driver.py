"""Drives RQ for the test of its layout. The argument is the host:port of the server."""

import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
import redis  # noqa: E402
import rq  # noqa: E402
from rq import suspension  # noqa: E402

import tasks  # noqa: E402
from driver import serve  # noqa: E402

host, port = sys.argv[1].split(":")
connection = redis.Redis(host=host, port=int(port))


def queue(name):
    return rq.Queue(name, connection=connection)


def add(name, task, options):
    retry = options.pop("retry", None)
    if retry:
        options["retry"] = rq.Retry(max=3, interval=retry)
    job = queue(name).enqueue(getattr(tasks, task), **options)
    return {"id": job.id, "at": job.enqueued_at.timestamp() if job.enqueued_at else 0}


def add_in(name, seconds):
    job = queue(name).enqueue_in(timedelta(seconds=seconds), tasks.nothing)
    return queue(name).scheduled_job_registry.get_scheduled_time(job).timestamp()


def counts(name):
    q = queue(name)
    started = q.started_job_registry.get_job_ids(cleanup=False)
    return {
        "queued": len(q),
        # As RQ has it when it cleans up: those that are not started.
        "intermediate": len([job for job in q.intermediate_queue.get_job_ids() if job not in started]),
        "started": q.started_job_registry.get_job_count(cleanup=False),
        "scheduled": q.scheduled_job_registry.get_job_count(cleanup=False),
        "toSchedule": len(q.scheduled_job_registry.get_jobs_to_schedule()),
        # RQ 2 has none.
        "ready": q.ready_job_registry.get_job_count(cleanup=False) if hasattr(q, "ready_job_registry") else 0,
        "deferred": q.deferred_job_registry.get_job_count(cleanup=False),
        "failed": q.failed_job_registry.get_job_count(cleanup=False),
    }


def leave_ready(name):
    """Leaves a job as a worker does that dies between the end of a job and those that wait for it."""
    q = queue(name)
    job = q.create_job(tasks.nothing)
    job.save()
    q.ready_job_registry.add(job)


def take(name, starts):
    """Takes a job as a worker does that dies before it runs it: before or after it has noted that it starts."""
    job, _ = rq.Queue.dequeue_any([queue(name)], None, connection)
    if starts:
        rq.SimpleWorker([queue(name)], connection=connection).prepare_execution(job)


def work(name, options):
    # Without a process of its own for the job, which would outlive a worker that is killed.
    rq.SimpleWorker([queue(name)], connection=connection).work(**options)


serve(
    add=add,
    addIn=add_in,
    counts=counts,
    dependsOn=lambda name, job: queue(name).enqueue(tasks.nothing, depends_on=job).id,
    leaveReady=leave_ready,
    suspend=lambda: suspension.suspend(connection),
    resume=lambda: suspension.resume(connection),
    take=take,
    version=lambda: rq.__version__ if hasattr(rq, "__version__") else rq.VERSION,
    work=work,
)
