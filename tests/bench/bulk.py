# bulk.py: measures large messages that pass through a server and are never there as a whole: bytes
# a second, CPU time for a GiB, and the memory that the server takes for it at the peak. The client
# is bulk.cpp; the cases are cases.py's.

import json
import os
import pathlib
import subprocess

from cases import BULK
from figures import add_ratios, summary
from servers import BULK_FILE, PINNED, client_command, settle_in, start
from table import print_bulk, print_bulk_heading
from turns import rounds_of, take_turns, those_of

TIME_LIMIT = 300  # seconds that one client may take
PERIOD = 251      # of the bytes; see bulk.h
PIECE = bytes(range(PERIOD)) * 4096


def measure(case, server, args):
    with start(server, args) as running:
        command = client_command(args.build, "bulk", running, "--connections", case.connections,
                                 "--bytes", case.size[args.quick],
                                 *(["--upload"] if case.upload else []))
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIME_LIMIT,
                              preexec_fn=lambda: settle_in(PINNED.client, args.nice), check=False)
    if done.returncode != 0:
        raise RuntimeError("the client failed")
    return json.loads(done.stdout)


def write_file(path, size):
    """What is downloaded. It stays in the page cache: no disk is measured."""
    with open(path, "wb") as file:
        for written in range(0, size, len(PIECE)):
            file.write(PIECE[:size - written])


def run_case(case, args, failures):
    samples = take_turns(case, those_of(case.servers, args), args, failures,
                         lambda server: measure(case, server, args))
    results = {name: summary(all_of) for name, all_of in samples.items()}
    add_ratios(results, "mib_per_second")
    print_bulk(case, results)
    return {"servers": results}


def run_bulk(args, failures):
    """Figures by the case's name."""
    cases = [case for case in BULK if args.only in case.name and rounds_of(case, args)]
    if not cases:
        return {}
    print(flush=True)
    print_bulk_heading()
    file = pathlib.Path(args.build, BULK_FILE)
    write_file(file, max(0 if case.upload else case.size[args.quick] for case in cases))
    try:
        return {case.name: run_case(case, args, failures) for case in cases}
    finally:
        os.unlink(file)
