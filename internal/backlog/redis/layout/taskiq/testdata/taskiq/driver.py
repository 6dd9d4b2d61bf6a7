"""Drives Taskiq for the test of its layout. The arguments are the host:port of the
server and the broker, "stream" or "list"."""

import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "layouttest" / "testdata"))
from taskiq.api import run_receiver_task  # noqa: E402
from taskiq_redis import ListQueueBroker, RedisStreamBroker  # noqa: E402

from driver import serve  # noqa: E402

address, kind = sys.argv[1], sys.argv[2]
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
brokers = {}
finishing = False
consumer = None


async def nothing():
    pass


async def hold():
    if not finishing:
        await asyncio.sleep(3600)


async def fail():
    raise ValueError("as told")


def broker_of(queue):
    if queue not in brokers:
        make = ListQueueBroker if kind == "list" else RedisStreamBroker
        options = {} if kind == "list" else {"xread_count": 1, "xread_block": 100, "idle_timeout": 500 if finishing else 600_000, "consumer_name": consumer}
        broker = make(f"redis://{address}/0", queue_name=queue, **options)
        # Taskiq renames a function that it registers.
        for name, task in {"nothing": nothing, "hold": hold, "fail": fail}.items():
            broker.register_task(task, task_name=name)
        brokers[queue] = broker
    return brokers[queue]


def add(queue, task, labels):
    kicker = broker_of(queue).find_task(task).kicker().with_labels(**labels)
    return loop.run_until_complete(kicker.kiq()).task_id


def work(queue, finish=False, name=None):
    """Works; a worker that is to finish holds nothing and takes over what others left."""
    global finishing, consumer
    finishing, consumer = finish, name
    loop.run_until_complete(run_receiver_task(broker_of(queue), max_async_tasks=2, run_startup=True))


serve(
    startup=lambda queue: loop.run_until_complete(broker_of(queue).startup()),
    add=add,
    work=work,
    version=lambda: version("taskiq-redis"),
)
