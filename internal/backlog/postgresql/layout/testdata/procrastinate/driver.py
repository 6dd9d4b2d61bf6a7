"""Drives Procrastinate for the test of its layout. The argument is the URL of the database."""

import asyncio
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4] / "redis" / "layout" / "layouttest" / "testdata"))
import procrastinate  # noqa: E402
from driver import serve  # noqa: E402

app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=sys.argv[1]))
app.open()


def setup(queue):
    app.schema_manager.apply_schema()


def defer(queue, **options):
    return app.configure_task("task", queue=queue, allow_unknown=True, **options).defer()


def add(queue, n):
    for _ in range(n):
        defer(queue)


async def fetch(queue, n):
    own = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[1]))
    async with own.open_async():
        # Before version 3 there are no registered workers.
        register = getattr(own.job_manager, "register_worker", None)
        options = {"worker_id": await register()} if register else {}
        jobs = [await own.job_manager.fetch_job(queues=[queue], **options) for _ in range(n)]
        return len([job for job in jobs if job])


serve(
    version=lambda: metadata.version("procrastinate"),
    setup=setup,
    add=add,
    delay=lambda queue, seconds: defer(queue, schedule_in={"seconds": seconds}),
    take=lambda queue, n: asyncio.run(fetch(queue, n)),
)
