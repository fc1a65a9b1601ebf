//! The report as people read it: medians, and ours as a multiple of each peer's.

use super::{Report, Row};
use std::fmt::Write;

impl Report {
    /// A table of medians, with the first server as a multiple of each other one, and what the
    /// first is to reach where that is said.
    pub fn table(&self, names: &[&str], markdown: bool) -> String {
        let targets = self.rows.iter().any(|it| it.target.is_some());
        let mut lines = vec![heading(names, targets)];
        let mut case = "";
        for row in &self.rows {
            let title = if row.case == case { "" } else { row.case };
            case = row.case;
            lines.push(row.cells(title, names.len(), targets));
        }
        if markdown {
            as_markdown(&lines)
        } else {
            aligned(&lines)
        }
    }
}

impl Row {
    fn cells(&self, title: &str, servers: usize, targets: bool) -> Vec<String> {
        let mut cells = vec![title.to_owned(), self.measure.to_owned()];
        cells.extend((0..servers).map(|it| self.median(it).map_or("–".into(), short)));
        for other in 1..servers {
            let ratio = match (self.median(0), self.median(other)) {
                (Some(ours), Some(theirs)) if ours.is_finite() && theirs > 0.0 => {
                    format!("{:.2}", ours / theirs)
                }
                _ => "–".into(),
            };
            cells.push(ratio);
        }
        if targets {
            cells.push(self.target.map_or(String::new(), |it| {
                let verdict = if self.missed() { " missed" } else { "" };
                format!("{it}{verdict}")
            }));
        }
        cells
    }
}

fn heading(names: &[&str], targets: bool) -> Vec<String> {
    let mut cells = vec!["work".to_owned(), "measure".to_owned()];
    cells.extend(names.iter().map(|it| (*it).to_owned()));
    cells.extend(names.iter().skip(1).map(|it| format!("÷ {it}")));
    if targets {
        cells.push("target".into());
    }
    cells
}

/// Three digits that matter.
fn short(number: f64) -> String {
    if !number.is_finite() {
        return "–".into();
    }
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
