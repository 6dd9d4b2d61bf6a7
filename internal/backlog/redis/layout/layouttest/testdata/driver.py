"""What the drivers of Python frameworks share: a line of input is a JSON array of an
operation and its arguments, a line of output {"result": ...} or {"error": ...}."""

import json
import os
import sys
import traceback


def answer(message):
    sys.__stdout__.write(json.dumps(message) + "\n")
    sys.__stdout__.flush()


def serve(**operations):
    """Runs operations as told until the input ends. "work" answers before it begins, and never ends."""
    lines = sys.stdin
    # What frameworks print must not get between the answers.
    sys.stdout = sys.stderr
    for line in lines:
        name, *arguments = json.loads(line)
        if name == "work":
            answer({"result": os.getpid()})
            operations[name](*arguments)
            return
        try:
            answer({"result": operations[name](*arguments)})
        except Exception:
            answer({"error": traceback.format_exc()})
