#!/usr/bin/env python3
"""What overlapping windows cost beside those that lie side by side: CPU of the whole process, rows written as JSON.

2,000,000 events of 100 users, 2,000 a second of event time, through `sliding: 60 s, every 1 s` and `tumbling: 60 s`. Needs a
build: `benches/sliding.py [PROGRAM]`, which is target/release/headwater if none is given.
"""

import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

EVENTS = 2_000_000
RUNS = 5
KINDS = {"tumbling": "tumbling: 60s", "sliding": "sliding: { size: 60s, every: 1s }"}
PIPELINE = """
sources:
  events: {{ file: {{ path: in.ndjson }}, event_time: {{ field: ts, unit: ms, out_of_order: 5s }} }}
windows:
  w: {{ from: events, key: [user], {kind}, aggregate: {{ total: sum(amount), n: count(*) }} }}
sinks:
  rows: {{ from: w, file: {{ path: /dev/null }} }}
"""


def write_input(path):
    draw = random.Random(7)
    with path.open("w") as file:
        for number in range(EVENTS):
            ts = 1_700_000_000_000 + number // 2 - draw.randrange(3_000)
            event = {"ts": ts, "user": f"user-{draw.randrange(100):06}", "amount": draw.randrange(4096) / 4}
            file.write(json.dumps(event, separators=(",", ":")) + "\n")


def nanoseconds(program, folder, name):
    ran = subprocess.run([program, "bench", f"{name}.yaml"], cwd=folder, capture_output=True, text=True, check=True)
    line = next(line for line in ran.stdout.splitlines() if line.split()[:1] == ["CPU"])
    return int(line.split(", ")[-1].split()[0])


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / "target/release/headwater").resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_input(folder / "in.ndjson")
        for kind, text in KINDS.items():
            (folder / f"{kind}.yaml").write_text(PIPELINE.format(kind=text))
        runs = [{kind: nanoseconds(program, folder, kind) for kind in KINDS} for _ in range(RUNS)]
    costs = {kind: statistics.median(run[kind] for run in runs) for kind in KINDS}
    print(", ".join(f"{kind} {cost} ns an event" for kind, cost in costs.items()), end=": ")
    print(f"{costs['sliding'] / costs['tumbling']:.2f}x")


if __name__ == "__main__":
    main()
