"""Drives arq for the test of its layout. The argument is the host:port of the server."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "layouttest" / "testdata"))
import arq  # noqa: E402
from arq.connections import RedisSettings, create_pool  # noqa: E402
from arq.jobs import Job, JobStatus  # noqa: E402
from arq.version import VERSION  # noqa: E402
from arq.worker import Worker  # noqa: E402

from driver import serve  # noqa: E402

host, port = sys.argv[1].split(":")
settings = RedisSettings(host=host, port=int(port))
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


async def pool():
    return await create_pool(settings)


async def nothing(ctx):
    pass


async def hold(ctx):
    if not ctx["finishing"]:
        await asyncio.sleep(3600)


async def again(ctx):
    raise arq.Retry(defer=3600)


redis = loop.run_until_complete(pool())


def add(queue, job, options):
    names = {"delay": "_defer_by", "id": "_job_id"}
    options = {names[name]: value for name, value in options.items()}
    added = loop.run_until_complete(redis.enqueue_job(job, _queue_name=queue, **options))
    info = loop.run_until_complete(added.info())
    return {"enqueued": info.enqueue_time.timestamp(), "score": info.score}


async def queued(queue):
    """The jobs of a queue. arq gives up if one is done while it lists them."""
    while True:
        try:
            return await redis.queued_jobs(queue_name=queue)
        except RuntimeError:
            pass


async def statuses(queue):
    counts = dict.fromkeys((s.value for s in JobStatus), 0)
    for definition in await queued(queue):
        status = await Job(definition.job_id, redis, _queue_name=queue).status()
        counts[status.value] += 1
    return counts


def work(queue, burst, finish=False):
    """Works; a worker that is to finish holds nothing."""
    Worker(
        functions=[nothing, hold, again], redis_settings=settings, queue_name=queue,
        max_jobs=2, burst=burst, poll_delay=0.05, keep_result=0, ctx={"finishing": finish},
    ).run()


serve(
    add=add,
    # arq keeps a job here until it is done.
    kept=lambda queue: loop.run_until_complete(redis.zcard(queue)),
    counts=lambda queue: loop.run_until_complete(statuses(queue)),
    work=work,
    version=lambda: VERSION,
)
