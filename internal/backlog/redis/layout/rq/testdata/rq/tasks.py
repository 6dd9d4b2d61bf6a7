"""What the jobs of the test do."""

import time


def nothing():
    pass


def hold():
    time.sleep(3600)


def fail():
    raise ValueError("as told")
