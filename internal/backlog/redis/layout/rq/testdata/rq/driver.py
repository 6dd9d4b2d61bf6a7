"""Drives RQ for the test of its layout. The argument is the host:port of the server."""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[3] / "layouttest" / "testdata"))
import redis  # noqa: E402
import rq  # noqa: E402
from rq import suspension  # noqa: E402
from rq.scheduler import RQScheduler  # noqa: E402

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


def add_at(name, ago):
    """Schedules a job for a time that has passed, as if there had been no scheduler since."""
    return queue(name).enqueue_at(datetime.now(timezone.utc) - timedelta(seconds=ago), tasks.nothing).id


def lock(name):
    """Takes the lock of the scheduler, as a worker with a scheduler does when it starts."""
    return list(RQScheduler([queue(name)], connection=connection).acquire_locks())


def size(registry):
    # RQ 1 always cleans up to count.
    return connection.zcard(registry.key)


def counts(name):
    q = queue(name)
    # RQ 1 has the jobs themselves there, later versions their executions.
    started = [entry.decode().split(":")[0] for entry in connection.zrange(q.started_job_registry.key, 0, -1)]
    return {
        "queued": len(q),
        # As RQ has it when it cleans up: those that are not started.
        "intermediate": len([job for job in q.intermediate_queue.get_job_ids() if job not in started]),
        "started": size(q.started_job_registry),
        "scheduled": size(q.scheduled_job_registry),
        "toSchedule": len(q.scheduled_job_registry.get_jobs_to_schedule()),
        # RQ 3 alone has it.
        "ready": size(q.ready_job_registry) if hasattr(q, "ready_job_registry") else 0,
        "deferred": size(q.deferred_job_registry),
        "failed": size(q.failed_job_registry),
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
    if not starts:
        return
    worker = rq.SimpleWorker([queue(name)], connection=connection)
    if hasattr(worker, "prepare_execution"):
        worker.prepare_execution(job)
    else:
        # RQ 1.
        worker.prepare_job_execution(job)


def work(name, options):
    # Without a process of its own for the job, which would outlive a worker that is killed.
    rq.SimpleWorker([queue(name)], connection=connection).work(**options)


serve(
    add=add,
    addIn=add_in,
    addAt=add_at,
    lock=lock,
    counts=counts,
    dependsOn=lambda name, job: queue(name).enqueue(tasks.nothing, depends_on=job).id,
    leaveReady=leave_ready,
    suspend=lambda: suspension.suspend(connection),
    resume=lambda: suspension.resume(connection),
    take=take,
    version=lambda: rq.__version__ if hasattr(rq, "__version__") else rq.VERSION,
    work=work,
)
