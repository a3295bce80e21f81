#!/usr/bin/env python3
"""Measures the MQTT source beside mosquitto_sub, both on one mosquitto in one sitting.

    benches/mqtt.py                       throughput and latency
    benches/mqtt.py --messages 20000 --runs 1 --seconds 3

Builds nothing: `cargo build --release` first. Needs Linux, mosquitto with its clients (tests/setup.sh), and nothing
but Python's own library. Figures depend on the machine; what compares is the two programs in the same sitting.
"""

import argparse
import os
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
RATE = 5000  # messages a second, for latency


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_broker(folder):
    """A broker that drops nothing, and its port."""
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
        "max_queued_messages 0\nmax_inflight_messages 1000\n"
    )
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        sys.exit("there is no mosquitto: tests/setup.sh")
    broker = subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return broker, port
        except OSError:
            time.sleep(0.01)
    sys.exit("mosquitto does not listen")


def event(number):
    """A reading of 200 bytes."""
    text = f'{{"n":{number},"device":"press-{number % 40}","temp":{20 + number % 7}.5,"state":"running","pad":"'
    return text + "x" * (198 - len(text)) + '"}'


def cpu(pid):
    """Seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def reader(name, port, folder, binary, out):
    """A program that subscribes and writes what comes to `out`."""
    if name == "mosquitto_sub":
        command = ["mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", str(port), "-t", "bench", "-q", "1"]
        return subprocess.Popen(command, stdout=out)
    pipeline = folder / "bench.yaml"
    pipeline.write_text(
        f"sources: {{ in: {{ mqtt: {{ url: 'mqtt://127.0.0.1:{port}', topics: bench }} }} }}\n"
        "sinks: { out: { from: in, stdout: {} } }\n"
    )
    return subprocess.Popen([binary, "run", "-q", pipeline], stdout=out)


def throughput(name, port, folder, binary, messages):
    """Messages a second and microseconds of CPU a message, for one run."""
    lines = folder / "lines"
    if not lines.exists():
        lines.write_text("".join(event(n) + "\n" for n in range(messages)))
    result = folder / "result"
    with result.open("wb") as out, lines.open("rb") as given:
        program = reader(name, port, folder, binary, out)
        time.sleep(0.5)
        before, start = cpu(program.pid), time.monotonic()
        command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-t", "bench", "-q", "1", "-l"]
        publisher = subprocess.Popen(command, stdin=given)
        wanted = lines.stat().st_size
        deadline = start + 120
        while result.stat().st_size < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        wall, used = time.monotonic() - start, cpu(program.pid) - before
        publisher.wait()
        program.terminate()
        program.wait()
    if result.read_bytes().count(b"\n") != messages:
        sys.exit(f"{name}: not every message came")
    return messages / wall, used / messages * 1e6


def text(value):
    value = value.encode()
    return struct.pack(">H", len(value)) + value


def packet(kind, body):
    length, size = bytearray(), len(body)
    while True:
        size, byte = divmod(size, 128)
        length.append(byte | (128 if size else 0))
        if not size:
            return bytes([kind]) + bytes(length) + body


class Publisher:
    """As much of MQTT 3.1.1 as publishing with QoS 1 takes."""

    def __init__(self, port):
        self.wire = socket.create_connection(("127.0.0.1", port))
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire.sendall(packet(0x10, text("MQTT") + bytes([4, 2, 0, 0]) + text("bench-publisher")))
        self.wire.recv(4)
        threading.Thread(target=self.drain, daemon=True).start()
        self.number = 0

    def drain(self):
        while self.wire.recv(1 << 16):
            pass

    def publish(self, payloads):
        packets = []
        for payload in payloads:
            self.number = self.number % 65535 + 1
            body = text("bench") + struct.pack(">H", self.number) + payload.encode()
            packets.append(packet(0x32, body))
        self.wire.sendall(b"".join(packets))


def latency(name, port, folder, binary, seconds):
    """Milliseconds from publishing to the result in a pipe, sorted."""
    read, write = os.pipe()
    with os.fdopen(write, "wb") as out:
        program = reader(name, port, folder, binary, out)
    time.sleep(0.5)
    sent, spans, rest = RATE * seconds, [], b""
    publisher = Publisher(port)

    def publish():
        start, done = time.monotonic(), 0
        while done < sent:
            due = min(sent, int((time.monotonic() - start) * RATE) + 1)
            if due > done:
                now = time.monotonic_ns()
                publisher.publish(f'{{"n":{n},"at":{now}}}' for n in range(done, due))
                done = due
            time.sleep(0.0005)

    thread = threading.Thread(target=publish)
    thread.start()
    while len(spans) < sent and select.select([read], [], [], 10)[0]:
        chunk = os.read(read, 1 << 16)
        now = time.monotonic_ns()
        *lines, rest = (rest + chunk).split(b"\n")
        spans += [(now - int(line.rsplit(b":", 1)[1].rstrip(b"}"))) / 1e6 for line in lines]
    thread.join()
    program.terminate()
    program.wait()
    os.close(read)
    if len(spans) < sent:
        sys.exit(f"{name}: {len(spans)} of {sent} messages came")
    return sorted(spans[RATE // 2 :])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/headwater")
    options = parser.parse_args()
    if options.messages > 60_000:
        sys.exit("mosquitto_pub gives up when more than 65535 messages wait for acknowledgements")
    if not options.binary.exists():
        sys.exit(f"{options.binary} is not there: cargo build --release")
    names = ["headwater", "mosquitto_sub"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        broker, port = start_broker(folder)
        try:
            runs = {name: [] for name in names}
            for _ in range(options.runs):
                for name in names:
                    runs[name].append(throughput(name, port, folder, options.binary, options.messages))
            for name in names:
                rate, used = (statistics.median(column) for column in zip(*runs[name]))
                print(f"{name:14} {rate:9,.0f} messages/s  {used:6.2f} µs of CPU a message")
            for name in names:
                spans = latency(name, port, folder, options.binary, options.seconds)
                at = lambda share: spans[min(len(spans) - 1, int(len(spans) * share))]
                print(f"{name:14} at {RATE}/s: p50 {at(0.5):.2f} ms  p99 {at(0.99):.2f} ms  p99.9 {at(0.999):.2f} ms")
        finally:
            broker.terminate()
            broker.wait()


if __name__ == "__main__":
    main()
