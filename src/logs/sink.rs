//! The queue of lines and the thread that writes them.

use super::{Destination, Format, Stats, line::Line, output::Output, stats::Dropped};
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// Takes lines and has them written. They are taken to their end after it has been dropped.
#[derive(Debug)]
pub struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// The writer has something to do.
    woken: Condvar,
    /// What was there has been written.
    written: Condvar,
    stats: Arc<Stats>,
    format: Format,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    /// Lines that found no room.
    lost: u64,
    reopens: bool,
    /// Somebody waits for what is there to be written.
    hurries: bool,
    ends: bool,
    /// Lines have been taken and are not yet written.
    is_writing: bool,
}

/// The most that waits to be written, in bytes: some thousands of lines.
const ROOM: usize = 1 << 20;
/// So many wait for no others.
const MANY: usize = ROOM / 2;
/// How long lines wait for others, so that they are written together.
const GATHERING: Duration = Duration::from_millis(20);
/// What is kept of a buffer between floods, in bytes.
const KEPT: usize = 64 << 10;

impl Sink {
    /// Opens what is to be written to. Remarks of its own are in `format`.
    pub fn open(to: &Destination, format: Format, stats: Arc<Stats>) -> io::Result<Self> {
        let output = Output::open(to)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            woken: Condvar::new(),
            written: Condvar::new(),
            stats,
            format,
        });
        let writer = shared.clone();
        std::thread::Builder::new()
            .name("tidegate-log".into())
            .spawn(move || writer.run(output))?;
        Ok(Self(shared))
    }

    /// Takes a whole line, and never waits.
    pub fn push(&self, line: &[u8]) {
        let mut queue = self.0.queue.lock();
        if queue.lines.len() + line.len() > ROOM {
            queue.lost += 1;
            drop(queue);
            return self.0.stats.dropped(Dropped::Full, 1);
        }
        let before = queue.lines.len();
        queue.lines.extend_from_slice(line);
        let is_due = before == 0 || before < MANY && queue.lines.len() >= MANY;
        drop(queue);
        if is_due {
            self.0.woken.notify_one();
        }
    }

    /// Has what follows written to a file of the same name, opened anew.
    pub fn reopen(&self) {
        self.0.queue.lock().reopens = true;
        self.0.woken.notify_one();
    }

    /// Waits until what is there has been written, or for so long.
    pub fn flush(&self, most: Duration) {
        let mut queue = self.0.queue.lock();
        queue.hurries = true;
        self.0.woken.notify_one();
        let is_under_way = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        self.0
            .written
            .wait_while_for(&mut queue, is_under_way, most);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.queue.lock().ends = true;
        self.0.woken.notify_one();
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.lines.is_empty() && !self.reopens && !self.ends && self.lost == 0
    }

    fn may_gather(&self) -> bool {
        !(self.reopens || self.hurries || self.ends) && self.lines.len() < MANY
    }
}

impl Shared {
    fn run(&self, mut output: Output) {
        let mut lines = Vec::new();
        let mut unwritten = 0;
        loop {
            let mut queue = self.queue.lock();
            self.woken.wait_while(&mut queue, |queue| queue.is_idle());
            self.woken
                .wait_while_for(&mut queue, |queue| queue.may_gather(), GATHERING);
            std::mem::swap(&mut lines, &mut queue.lines);
            let lost = std::mem::take(&mut queue.lost);
            let reopens = std::mem::take(&mut queue.reopens);
            let ends = queue.ends;
            queue.hurries = false;
            queue.is_writing = true;
            drop(queue);

            if lost > 0 {
                self.remark(&mut lines, lost, "came faster than lines can be written");
            }
            // What was said before belongs to the file of before.
            unwritten += self.write(&mut output, &lines);
            if reopens {
                output.reopen();
            }
            lines.clear();
            lines.shrink_to(KEPT);
            if unwritten > 0 {
                self.remark(&mut lines, unwritten, "could not be written");
                if output.write(&lines, Instant::now()) == 0 {
                    unwritten = 0;
                }
                lines.clear();
            }

            let mut queue = self.queue.lock();
            queue.is_writing = false;
            self.written.notify_all();
            if ends && queue.lines.is_empty() {
                return;
            }
        }
    }

    fn write(&self, output: &mut Output, lines: &[u8]) -> u64 {
        let unwritten = output.write(lines, Instant::now());
        if unwritten > 0 {
            self.stats.dropped(Dropped::Unwritable, unwritten);
        }
        unwritten
    }

    /// Says in the log itself that lines of it are missing.
    fn remark(&self, to: &mut Vec<u8>, lost: u64, why: &str) {
        let text = format!("lines are missing here: {lost} {why}");
        let (now, level) = (SystemTime::now(), log::Level::Warn);
        let remark = Line::message(now, self.format, level, module_path!(), &text);
        to.extend_from_slice(&remark);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::{fs, io::BufRead, path::Path};

    fn sink(path: &Path) -> (Sink, Arc<Stats>) {
        let stats = Arc::new(Stats::default());
        let to = Destination::File(path.to_owned());
        (Sink::open(&to, Format::Text, stats.clone()).unwrap(), stats)
    }

    fn dropped(stats: &Stats, reason: &str) -> u64 {
        stats.dropped.with_label_values(&[reason]).get()
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn lines_are_written_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (sink, stats) = sink(&path);
        let lines: Vec<_> = (0..10_000).map(|n| format!("line {n}\n")).collect();
        for line in &lines {
            sink.push(line.as_bytes());
        }
        sink.flush(PATIENCE);
        let written = fs::read_to_string(&path).unwrap();
        assert!(written == lines.concat(), "{} bytes", written.len());
        assert_eq!(dropped(&stats, "full") + dropped(&stats, "unwritable"), 0);
    }

    #[test]
    fn a_file_that_can_not_be_written_costs_lines_and_nothing_else() {
        let (sink, stats) = sink(Path::new("/dev/full"));
        for _ in 0..100 {
            sink.push(b"line\n");
        }
        sink.flush(PATIENCE);
        assert_eq!(dropped(&stats, "unwritable"), 100);
    }

    /// A pipe that nobody reads: it stands for a disk that hangs.
    pub fn pipe(path: &Path) -> fs::File {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
        // Open for both, so that opening it for one does not wait for the other.
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_writer_that_hangs_holds_up_nobody_and_what_was_lost_is_said_when_it_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let reader = pipe(&path);
        let (sink, stats) = sink(&path);
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        let pushed = 4 * ROOM / line.len();
        for _ in 0..pushed {
            sink.push(&line);
        }
        let lost = dropped(&stats, "full");
        assert!(lost > 0 && lost < pushed as u64, "{lost} of {pushed}");

        let (mut said, mut lines) = (0, io::BufReader::new(reader).lines());
        while said < lost {
            let line = lines.next().unwrap().unwrap();
            let missing = line.split_once("lines are missing here: ");
            let count = missing.and_then(|(_, rest)| rest.split_once(' '));
            said += count.map_or(0, |(count, _)| count.parse().unwrap());
        }
        assert_eq!(said, lost);
    }
}
