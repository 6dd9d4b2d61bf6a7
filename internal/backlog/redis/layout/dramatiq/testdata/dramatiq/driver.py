"""Drives Dramatiq for the test of its layout. The arguments are the host:port of the
server, the namespace, and further options of the broker in JSON."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "layouttest" / "testdata"))
import dramatiq  # noqa: E402
from dramatiq.brokers.redis import RedisBroker  # noqa: E402

from driver import serve  # noqa: E402

address, namespace = sys.argv[1], sys.argv[2]
broker = RedisBroker(url=f"redis://{address}/0", namespace=namespace, **json.loads(sys.argv[3]))
dramatiq.set_broker(broker)
workers = []
finishing = False


@dramatiq.actor
def nothing():
    pass


@dramatiq.actor
def hold():
    if not finishing:
        time.sleep(3600)


@dramatiq.actor(min_backoff=3_600_000, max_backoff=7_200_000)
def fail():
    raise ValueError("as told")


def add(queue, actor, options):
    delay = options.pop("delay", None)
    message = broker.get_actor(actor).message_with_options(**options).copy(queue_name=queue)
    broker.declare_queue(queue)
    sent = broker.enqueue(message, delay=delay)
    return {"timestamp": sent.message_timestamp, "eta": sent.options.get("eta", 0)}


def start(queue, finish=False):
    """Starts a worker; one that is to finish holds nothing."""
    global finishing
    finishing = finish
    broker.declare_queue(queue)
    worker = dramatiq.Worker(broker, queues={queue}, worker_threads=1)
    workers.append(worker)
    worker.start()


def held():
    """How many messages the worker of this process holds, by queue."""
    return {name: c.consumer.outstanding_message_count for w in workers for name, c in w.consumers.items() if c.consumer}


serve(
    add=add,
    addMany=lambda queue, actor, options, n: [add(queue, actor, dict(options)) for _ in range(n)][-1],
    size=lambda queue: broker.do_qsize(queue),
    start=start,
    held=held,
    version=lambda: dramatiq.__version__,
)
