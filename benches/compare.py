#!/usr/bin/env python3
"""Measures Headwater beside the floor program of benches/limit, both in one sitting.

    benches/compare.py                          all cases, 5,000,000 events, five interleaved runs each
    benches/compare.py strict touched           some cases
    benches/compare.py --events 100000 --runs 1 rows

Builds nothing: `make bench-purchases` builds both programs first. Needs Linux and nothing but Python's own library.
The data lies in memory where the machine has a tmpfs with room. Ends with status 1 if any rows are wrong; a target
that is missed is only said, because a loaded machine misses all.
"""

import argparse
import json
import os
import select
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = ROOT / "benches/limit/target/release"
BYTES_AN_EVENT = 200
MEMORY_INTERVAL_MS = 2


@dataclass
class Run:
    """What one run of a program took."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    peak: int  # bytes resident


@dataclass
class Bench:
    """Where everything is, and how often to run it."""

    headwater: Path
    folder: Path
    events: int
    runs: int
    failed: bool = False

    def path(self, name):
        return self.folder / name

    def pipeline(self, name, **settings):
        """Command and environment of a Headwater run."""
        variables = {f"BENCH_{key.upper()}": str(value) for key, value in settings.items()}
        command = [self.headwater, "run", "-q", ROOT / "benches" / f"{name}.yaml"]
        return command, {**os.environ, **variables}

    def floor(self, data, output):
        """Command and environment of a run of the floor program."""
        return [LIMIT / "purchases", data, output], dict(os.environ)

    def data(self, name, *options):
        """The path of the generated events, made when first asked for."""
        path = self.path(name)
        if not path.exists():
            measure(([LIMIT / "generate", str(self.events), path, *options], dict(os.environ)))
        return path

    def check(self, ok, what):
        """Says so when a result is wrong, and remembers it."""
        if not ok:
            self.failed = True
            print(f"    WRONG: {what}")


def measure(command_and_environment):
    """Runs a program to its end; one that fails ends the comparison."""
    command, environment = command_and_environment
    command = [str(part) for part in command]
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, environment)
    process = os.pidfd_open(pid)
    ended = select.poll()
    ended.register(process)
    peak = 0
    while not ended.poll(MEMORY_INTERVAL_MS):
        # The kernel's own figure after the end would count the memory of this script too: a new process starts as
        # its parent's copy. The high-water mark of the program itself can only be read while it runs.
        peak = max(peak, high_water(pid))
    wall = time.perf_counter() - start
    _, status, usage = os.wait4(pid, 0)
    os.close(process)
    if status != 0:
        sys.exit(f"{' '.join(command)}: status {os.waitstatus_to_exitcode(status)}")
    return Run(usage.ru_utime + usage.ru_stime, wall, peak)


def high_water(pid):
    """Most memory a process has had resident so far, in bytes."""
    try:
        with open(f"/proc/{pid}/status") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def interleaved(runs, *programs):
    """Median runs of several programs that take turns, so that a busy minute hits all of them."""
    results = [[] for _ in programs]
    for _ in range(runs):
        for program, result in zip(programs, results):
            result.append(measure(program))
    return [median(result) for result in results]


def median(runs):
    return Run(
        statistics.median(run.cpu for run in runs),
        statistics.median(run.wall for run in runs),
        max(run.peak for run in runs),
    )


def rows(path):
    """The rows of a result by user and window."""
    found = {}
    with open(path) as lines:
        for line in lines:
            row = json.loads(line)
            key = (row["user_id"], row["window_start"], row["window_end"])
            if key in found:
                return {}  # a key twice is never right
            found[key] = (row["total"], row["count"])
    return found


def same_rows(expected, actual):
    """Keys and counts exactly, totals to 1e-9 relative: the order of additions may differ."""
    expected, actual = rows(expected), rows(actual)
    return bool(expected) and expected.keys() == actual.keys() and all(
        actual[key][1] == count and abs(actual[key][0] - total) <= 1e-9 * max(1.0, abs(total))
        for key, (total, count) in expected.items()
    )


def against_floor(bench, name, data, validate, target):
    """The purchases job as a pipeline, as a ratio to the floor."""
    expected, actual = bench.path("expected"), bench.path("actual")
    floor, ours = interleaved(
        bench.runs,
        bench.floor(data, expected),
        bench.pipeline("purchases", input=data, output=actual, validate=validate),
    )
    ratio = ours.cpu / floor.cpu
    say(name, f"{ours.cpu:.2f} CPU s, floor {floor.cpu:.2f}: {ratio:.2f}×", ratio <= target, f"at most {target}×")
    say("", f"peak {mib(ours.peak)}, floor {mib(floor.peak)}", ours.peak <= 32 << 20, "at most 32 MiB")
    bench.check(same_rows(expected, actual), f"{name}: other rows than the floor's")


def strict(bench):
    """The main job with strict JSON."""
    against_floor(bench, "strict", bench.data("events"), "strict", 2.2)


def touched(bench):
    """The main job, validating only what it reads."""
    against_floor(bench, "touched", bench.data("events"), "touched", 1.6)


def ts_last(bench):
    """Both again with the time as the last field of each event, so that no line can be left early."""
    data = bench.data("events-ts-last", "--ts-last")
    against_floor(bench, "strict, ts last", data, "strict", 2.2)
    against_floor(bench, "touched, ts last", data, "touched", 1.6)
    data.unlink()


def split(bench):
    """Deals the events out to two files in turn."""
    halves = [bench.path("half-1"), bench.path("half-2")]
    with open(bench.data("events"), "rb") as lines, open(halves[0], "wb") as one, open(halves[1], "wb") as two:
        for i, line in enumerate(lines):
            (two if i % 2 else one).write(line)
    return halves


def workers(bench):
    """Two workers against one, on the file split in two."""
    one_half, other = split(bench)
    expected, actual = bench.path("expected"), bench.path("actual")
    inputs = {"input_1": one_half, "input_2": other}
    one, two = interleaved(
        bench.runs,
        bench.pipeline("purchases-split", workers=1, output=expected, **inputs),
        bench.pipeline("purchases-split", workers=2, output=actual, **inputs),
    )
    gain = one.wall / two.wall
    say("workers", f"one {one.wall:.2f} s, two {two.wall:.2f} s: {gain:.2f}×", gain >= 1.5, "at least 1.5×")
    bench.check(same_rows(expected, actual), "workers: two give other rows than one")
    measure(bench.floor(bench.data("events"), expected))
    bench.check(same_rows(expected, actual), "workers: other rows than the floor's")
    one_half.unlink()
    other.unlink()


def passthrough(bench):
    """Four in ten events go on unchanged."""
    data, output = bench.data("events"), bench.path("kept")
    (ours,) = interleaved(bench.runs, bench.pipeline("passthrough", input=data, output=output))
    speed = data.stat().st_size / ours.cpu / 1e9
    text = f"{ours.cpu:.2f} CPU s, {speed:.2f} GB of input a CPU second, peak {mib(ours.peak)}"
    say("passthrough", text, speed >= 0.7, "at least 0.7 GB/s")
    bench.check(same_events(data, output), "passthrough: other events than the purchases of the input")
    output.unlink()


def same_events(data, output):
    """Whether the output holds exactly the purchases of the input, in order; white space is free."""
    with open(data) as lines, open(output) as kept:
        purchases = (line for line in lines if '"type": "purchase"' in line)
        return all(json.loads(line) == json.loads(next(kept, "null")) for line in purchases) and not kept.readline()


def start(bench):
    """One event, from the start of the process to its end."""
    data, output = bench.path("one-event"), bench.path("actual")
    with open(bench.data("events")) as lines:
        purchase = next(line for line in lines if '"type": "purchase"' in line)
    data.write_text(purchase)
    (ours,) = interleaved(max(bench.runs, 1) * 5, bench.pipeline("purchases", input=data, output=output))
    say("start", f"{ours.wall * 1000:.1f} ms, peak {mib(ours.peak)}", ours.wall <= 0.020, "at most 20 ms")
    bench.check(len(rows(output)) == 1, "start: not one row")


def only_rows(bench):
    """No figures: whether all ways of running the job give the floor's rows."""
    data, expected, actual = bench.data("events"), bench.path("expected"), bench.path("actual")
    measure(bench.floor(data, expected))
    one_half, other = split(bench)
    ways = {
        "strict": bench.pipeline("purchases", input=data, output=actual, validate="strict"),
        "touched": bench.pipeline("purchases", input=data, output=actual, validate="touched"),
        "two workers": bench.pipeline("purchases", input=data, output=actual, workers=2),
        "two files": bench.pipeline("purchases-split", input_1=one_half, input_2=other, output=actual),
        "two of each": bench.pipeline("purchases-split", input_1=one_half, input_2=other, output=actual, workers=2),
    }
    for way, program in ways.items():
        measure(program)
        bench.check(same_rows(expected, actual), f"rows, {way}: other rows than the floor's")
    print(f"rows             {len(rows(expected))} rows of {bench.events} events, {len(ways)} ways")


CASES = {
    "strict": strict,
    "touched": touched,
    "ts-last": ts_last,
    "workers": workers,
    "passthrough": passthrough,
    "start": start,
    "rows": only_rows,
}


def say(name, result, met, target):
    print(f"{name:16} {result:56} {'met' if met else 'MISSED'}: {target}", flush=True)


def mib(size):
    return f"{size / (1 << 20):.1f} MiB"


def scratch(events):
    """A folder for the data, in memory if there is room for four copies of it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK)
    roomy = roomy and shutil.disk_usage(memory).free > 4 * events * BYTES_AN_EVENT
    return tempfile.TemporaryDirectory(prefix="headwater-bench-", dir=memory if roomy else None)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("case", nargs="*", help=f"one of {', '.join(CASES)}; all without any")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--headwater", type=Path, default=ROOT / "target/release/headwater")
    chosen = parser.parse_args()
    unknown = set(chosen.case) - CASES.keys()
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    missing = [path for path in (chosen.headwater, LIMIT / "generate", LIMIT / "purchases") if not path.exists()]
    if missing:
        parser.error(f"not built: {missing[0]}; `make bench-purchases` builds it")
    return chosen


def main():
    chosen = arguments()
    with scratch(chosen.events) as folder:
        bench = Bench(chosen.headwater.resolve(), Path(folder), chosen.events, chosen.runs)
        print(f"{chosen.events} events, median of {chosen.runs} interleaved runs, load {os.getloadavg()[0]:.1f}")
        for name in chosen.case or CASES:
            CASES[name](bench)
    sys.exit(1 if bench.failed else 0)


if __name__ == "__main__":
    main()
