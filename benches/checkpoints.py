#!/usr/bin/env python3
"""What checkpoints cost: the main job (benches/purchases.yaml) without state on disk, and with checkpoints.

Runs are interleaved, and what is compared is CPU time (user and system) of whole processes, as ratios to the run without
a data directory. Bytes are those that the process handed to the file system beyond its output.

    python3 benches/checkpoints.py --events 3000000 --runs 3
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CASES = [
    ("no state", None, None),
    ("at_least_once, 100ms", "100ms", "at_least_once"),
    ("exactly_once, 100ms", "100ms", "exactly_once"),
    ("exactly_once, 1s", "1s", "exactly_once"),
    ("exactly_once, 10s", "10s", "exactly_once"),
]


def pipeline(folder, interval, delivery):
    """The main job with these options."""
    text = (ROOT / "benches/purchases.yaml").read_text()
    options = f"options:\n  checkpoint: {interval}\n  delivery: {delivery}\n" if interval else "options:\n"
    path = folder / "purchases.yaml"
    path.write_text(text.replace("options:\n", options, 1))
    return path


def run(binary, events, folder, interval, delivery):
    """CPU seconds, wall seconds and written bytes of one run."""
    out = folder / "rows.ndjson"
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    out.unlink(missing_ok=True)
    command = [binary, "run", "-q", pipeline(folder, interval, delivery)]
    command += ["--data-dir", data] if interval else []
    environment = dict(os.environ, BENCH_INPUT=str(events), BENCH_OUTPUT=str(out), BENCH_WORKERS="1")
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{command}: status {status}"
    # In whatever order; by another process, as what this one has in memory counts as that of the next one it starts.
    rows = subprocess.run(f"LC_ALL=C sort '{out}' | md5sum", shell=True, check=True, capture_output=True).stdout
    assert out.stat().st_size > 0
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, rows


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=3_000_000)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--headwater", default=ROOT / "target/release/headwater")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        events = folder / "events.ndjson"
        generate = ROOT / "benches/limit/target/release/generate"
        subprocess.run([generate, str(chosen.events), events], check=True, stdout=subprocess.DEVNULL)
        times = {case: [] for case, *_ in CASES}
        memory, reference = {}, None
        for _ in range(chosen.runs):
            for case, interval, delivery in CASES:
                seconds, mib, rows = run(chosen.headwater, events, folder, interval, delivery)
                reference = reference or rows
                assert rows == reference, f"{case}: other rows"
                times[case].append(seconds)
                memory[case] = max(mib, memory.get(case, 0))
        base = statistics.median(times[CASES[0][0]])
        for case, *_ in CASES:
            median = statistics.median(times[case])
            print(f"{case:24} {median:7.2f} s CPU {median / base:6.2f}x {memory[case]:7.1f} MiB")


if __name__ == "__main__":
    main()
