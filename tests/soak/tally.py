# tally.py: what the clients of a soak counted.

import collections

KEPT_ERRORS = 50  # kept in full; the others are only counted


class Tally:
    def __init__(self):
        self.messages = 0  # sent or received; an echoed one counts twice
        self.connections = 0  # TCP, attempted
        self.bytes = 0  # of those messages
        self.errors = 0
        self.kept_errors = []
        self.done = collections.Counter()  # sessions and visits, by kind

    def message(self, payload):
        self.messages += 1
        self.bytes += len(payload)

    def error(self, text):
        self.errors += 1
        if len(self.kept_errors) < KEPT_ERRORS:
            self.kept_errors.append(text)
