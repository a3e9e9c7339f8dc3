# tally.py: what the clients of a soak have counted.

import collections

KEPT_ERRORS = 50  # in full; the others are only counted


class Tally:
    def __init__(self):
        self.messages = 0  # sent, or received; one that comes back is two
        self.connections = 0  # TCP, attempted
        self.bytes = 0  # of those messages
        self.errors = 0
        self.kept_errors = []
        self.done = collections.Counter()  # by what was done: sessions, visits

    def message(self, payload):
        self.messages += 1
        self.bytes += len(payload)

    def error(self, text):
        self.errors += 1
        if len(self.kept_errors) < KEPT_ERRORS:
            self.kept_errors.append(text)
