"""Drives Celery for the test of its layout. The arguments are the host:port of the
server, the global_keyprefix, and further broker_transport_options in JSON."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "layouttest" / "testdata"))
import celery  # noqa: E402
from kombu import Exchange, Queue  # noqa: E402

from driver import serve  # noqa: E402

address, prefix = sys.argv[1], sys.argv[2]
app = celery.Celery("driver", broker=f"redis://{address}/0")
app.conf.update(
    broker_transport_options={"global_keyprefix": prefix, **json.loads(sys.argv[3])},
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=True,
    task_create_missing_queues=True,
)


@app.task(name="hold", bind=True)
def hold(self):
    # The worker that gets it again does it at once.
    if not self.request.delivery_info.get("redelivered"):
        time.sleep(3600)


@app.task(name="again", bind=True, max_retries=None)
def again(self, seconds):
    raise self.retry(countdown=seconds)


def mail_queue():
    """A queue that gets what is sent to a topic exchange."""
    return Queue("mail", Exchange("letters", type="topic"), routing_key="mail.#")


def add(task, arguments, options):
    if options.pop("exchange", None):
        options["exchange"] = Exchange("letters", type="topic")
        options["declare"] = [mail_queue()]
    return app.tasks[task].apply_async(arguments, **options).id


def size(queue):
    with app.connection_for_read() as connection:
        return connection.default_channel._size(queue)


def kept(queue):
    """How many tasks wait on the queue, or were taken and not acknowledged."""
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        return channel.client.hlen(channel.unacked_key) + channel._size(queue) + channel.client.hlen(channel.unacked_key)


def held():
    """How many tasks the workers say they hold, by the routing key of each."""
    inspect = app.control.inspect(timeout=1)
    counts = {}
    for report in (inspect.active(), inspect.reserved(), inspect.scheduled()):
        for tasks in (report or {}).values():
            for task in tasks:
                key = task.get("request", task)["delivery_info"]["routing_key"]
                counts[key] = counts.get(key, 0) + 1
    return counts


def work(queue):
    if queue == "mail":
        app.conf.task_queues = [mail_queue()]
    app.worker_main(["worker", "--pool=threads", "--concurrency=1", "--without-mingle", "--without-gossip", f"--hostname={queue}@test", "-Q", queue])


serve(add=add, size=size, kept=kept, held=held, work=work, version=lambda: celery.__version__)
