//! `purchases IN OUT`: keeps purchases, keys by user, one-minute event-time tumbling windows with a watermark 5 s
//! behind; total and count a user and window. One thread.

use limit::{Keys, Output, each_line, fields, float, integer, unquote};
use std::collections::VecDeque;

const SIZE_MS: u64 = 60_000;
const DELAY_MS: u64 = 5_000;

struct Window {
    start: u64,
    /// Total and count, by the user's number.
    totals: Vec<(f64, u32)>,
}

struct Job {
    users: Keys,
    /// By start.
    open: VecDeque<Window>,
    highest: u64,
    /// The watermark at which the first open window closes.
    next_close: u64,
    /// Windows that start before this are closed.
    closed: u64,
    late: u64,
    output: Output,
}

impl Job {
    fn new(output: Output) -> Job {
        Job {
            users: Keys::default(),
            open: VecDeque::new(),
            highest: DELAY_MS,
            next_close: u64::MAX,
            closed: 0,
            late: 0,
            output,
        }
    }

    #[inline(always)]
    fn advance(&mut self, time: u64) {
        if time > self.highest {
            self.highest = time;
            if time - DELAY_MS >= self.next_close {
                self.close(time - DELAY_MS);
            }
        }
    }

    #[inline(always)]
    fn purchase(&mut self, user: &[u8], amount: f64, time: u64) {
        let start = time - time % SIZE_MS;
        if start < self.closed {
            self.late += 1;
            return;
        }
        let user = self.users.number(user);
        let window = match self.open.iter_mut().position(|window| window.start == start) {
            Some(i) => &mut self.open[i],
            None => {
                let i = self.open.iter().take_while(|window| window.start < start).count();
                self.open.insert(i, Window { start, totals: Vec::new() });
                self.next_close = self.open[0].start + SIZE_MS;
                &mut self.open[i]
            }
        };
        if window.totals.len() <= user {
            window.totals.resize((user + 1).max(self.users.names.len()), (0.0, 0));
        }
        let total = &mut window.totals[user];
        total.0 += amount;
        total.1 += 1;
    }

    #[cold]
    fn close(&mut self, watermark: u64) {
        while self.open.front().is_some_and(|window| window.start + SIZE_MS <= watermark) {
            if let Some(window) = self.open.pop_front() {
                self.closed = window.start + SIZE_MS;
                self.write(&window);
            }
        }
        self.next_close = self.open.front().map_or(u64::MAX, |window| window.start + SIZE_MS);
    }

    fn write(&mut self, window: &Window) {
        let output = &mut self.output;
        for (user, &(total, count)) in window.totals.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            output.text(b"{\"user_id\":\"");
            output.text(&self.users.names[user]);
            output.text(b"\",\"window_start\":");
            output.integer(window.start);
            output.text(b",\"window_end\":");
            output.integer(window.start + SIZE_MS);
            output.text(b",\"total\":");
            output.float(total);
            output.text(b",\"count\":");
            output.integer(count as u64);
            output.text(b"}\n");
            output.end_row();
        }
    }

    #[inline(always)]
    fn line(&mut self, line: &[u8]) {
        let none = &line[..0];
        let (mut kind, mut user, mut amount, mut time) = (none, none, none, none);
        let mut missing = 4;
        fields(line, |key, value| {
            match key {
                b"type" => kind = value,
                b"user_id" => user = value,
                b"amount" => amount = value,
                b"ts" => time = value,
                _ => return true,
            }
            missing -= 1;
            missing > 0
        });
        if missing > 0 {
            return;
        }
        let time = integer(time);
        self.advance(time);
        if kind == b"\"purchase\"" {
            self.purchase(unquote(user), float(amount), time);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else {
        eprintln!("usage: purchases IN OUT");
        std::process::exit(2);
    };
    let mut job = Job::new(Output::create(output));
    each_line(input, |line| job.line(line));
    job.close(u64::MAX);
    job.output.flush();
    if job.late > 0 {
        eprintln!("late: {}", job.late);
    }
}
