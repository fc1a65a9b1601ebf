//! What was found, as tables.

use crate::{cases::Value, measure::median, servers::Kind};
use std::{collections::BTreeMap, fmt::Write, fs, thread};

/// All numbers of one run, by case, measure and server, in the order in which they came.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

struct Row {
    case: &'static str,
    measure: &'static str,
    numbers: BTreeMap<usize, Vec<f64>>,
}

impl Report {
    pub fn add(&mut self, case: &'static str, server: usize, values: &[Value]) {
        for value in values {
            let same = |row: &&mut Row| row.case == case && row.measure == value.measure;
            let row = match self.rows.iter_mut().find(same) {
                Some(row) => row,
                None => {
                    self.rows.push(Row {
                        case,
                        measure: value.measure,
                        numbers: BTreeMap::new(),
                    });
                    self.rows.last_mut().expect("just pushed")
                }
            };
            row.numbers.entry(server).or_default().push(value.number);
        }
    }

    /// A table of medians, with the first server as a multiple of each other one.
    pub fn table(&self, kinds: &[Kind], markdown: bool) -> String {
        let mut lines = vec![heading(kinds)];
        let mut case = "";
        for row in &self.rows {
            let title = if row.case == case { "" } else { row.case };
            case = row.case;
            lines.push(row.cells(title, kinds.len()));
        }
        if markdown {
            as_markdown(&lines)
        } else {
            aligned(&lines)
        }
    }
}

impl Row {
    fn cells(&self, title: &str, servers: usize) -> Vec<String> {
        let middle = |server: usize| self.numbers.get(&server).map(|it| median(it));
        let mut cells = vec![title.to_owned(), self.measure.to_owned()];
        cells.extend((0..servers).map(|it| middle(it).map_or("–".into(), short)));
        for other in 1..servers {
            let ratio = match (middle(0), middle(other)) {
                (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
                _ => "–".into(),
            };
            cells.push(ratio);
        }
        cells
    }
}

/// The machine, in one line.
pub fn machine(versions: &[String], congestion_control: &str, repetitions: u64) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let model = first_value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".into());
    let memory = first_value("/proc/meminfo", "MemTotal")
        .and_then(|it| it.split(' ').next()?.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes >> 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores ({model}), {memory} GiB, Linux {}, loopback with {congestion_control}; {}; \
         medians of {repetitions}; clients and origin on the same cores",
        kernel.trim(),
        versions.join(", "),
    )
}

/// The value behind the first line of a `/proc` file that starts with `name`.
fn first_value(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|it| it.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn heading(kinds: &[Kind]) -> Vec<String> {
    let mut cells = vec!["work".to_owned(), "measure".to_owned()];
    cells.extend(kinds.iter().map(|it| it.name().to_owned()));
    cells.extend(kinds.iter().skip(1).map(|it| format!("÷ {}", it.name())));
    cells
}

/// Three digits that matter.
fn short(number: f64) -> String {
    let places = match number.abs() {
        it if it >= 100.0 => 0,
        it if it >= 10.0 => 1,
        it if it >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.places$}")
}

fn as_markdown(lines: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, cells) in lines.iter().enumerate() {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if number == 0 {
            let rules = cells
                .iter()
                .enumerate()
                .map(|(at, _)| if at < 2 { "---" } else { "---:" });
            let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
        }
    }
    text
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |at: usize| {
        lines
            .iter()
            .map(|it| it[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for cells in lines {
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let _ = if at < 2 {
                write!(text, "{cell:<width$}  ")
            } else {
                write!(text, "{cell:>width$}  ")
            };
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}
