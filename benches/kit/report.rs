//! What was found: all numbers of one run, as a table and as JSON.

mod table;

use super::measure::median;
use serde_json::{Map, json};
use std::{collections::BTreeMap, fmt, fs, io, path::Path};

/// One number that a case has found.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    pub measure: &'static str,
    pub number: f64,
    /// What ours is to reach.
    pub target: Option<Target>,
}

/// What a number is to be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// All numbers of one run, by case, measure and server, in the order in which they came.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    /// What changed over time: server, measure, one number per sample.
    series: Vec<(usize, &'static str, Vec<f64>)>,
}

struct Row {
    case: &'static str,
    measure: &'static str,
    target: Option<Target>,
    numbers: BTreeMap<usize, Vec<f64>>,
}

/// A number without a target.
pub fn value(measure: &'static str, number: f64) -> Value {
    Value {
        measure,
        number,
        target: None,
    }
}

impl Value {
    pub fn at_most(mut self, bound: f64) -> Self {
        self.target = Some(Target::AtMost(bound));
        self
    }

    pub fn at_least(mut self, bound: f64) -> Self {
        self.target = Some(Target::AtLeast(bound));
        self
    }
}

impl Target {
    /// What is no number at all was not reached.
    fn met_by(self, number: f64) -> bool {
        match self {
            Self::AtMost(bound) => number <= bound,
            Self::AtLeast(bound) => number >= bound,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(formatter, "≤ {bound}"),
            Self::AtLeast(bound) => write!(formatter, "≥ {bound}"),
        }
    }
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
                        target: value.target,
                        numbers: BTreeMap::new(),
                    });
                    self.rows.last_mut().expect("just pushed")
                }
            };
            row.numbers.entry(server).or_default().push(value.number);
        }
    }

    pub fn add_series(&mut self, server: usize, measure: &'static str, numbers: Vec<f64>) {
        self.series.push((server, measure, numbers));
    }

    /// The targets that the first server has not reached.
    pub fn missed(&self) -> Vec<String> {
        let missed = self.rows.iter().filter(|it| it.missed());
        missed
            .map(|it| format!("{}: {}", it.case, it.measure))
            .collect()
    }

    /// Writes everything, each repetition's numbers included, to a file whose folder is made.
    /// What is no number is null.
    pub fn write_json(&self, file: &Path, names: &[&str], machine: &str) -> io::Result<()> {
        let rows: Vec<_> = self.rows.iter().map(|it| it.json(names)).collect();
        let series: Vec<_> = self
            .series
            .iter()
            .map(|(server, measure, numbers)| {
                json!({"server": names[*server], "measure": measure, "numbers": numbers})
            })
            .collect();
        let all = json!({
            "machine": machine,
            "servers": names,
            "rows": rows,
            "series": series,
        });
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, format!("{all:#}\n"))
    }
}

impl Row {
    fn median(&self, server: usize) -> Option<f64> {
        self.numbers.get(&server).map(|it| median(it))
    }

    fn missed(&self) -> bool {
        match (self.target, self.median(0)) {
            (Some(target), Some(number)) => !target.met_by(number),
            _ => false,
        }
    }

    fn json(&self, names: &[&str]) -> serde_json::Value {
        let by_name = |of: &dyn Fn(usize) -> serde_json::Value| {
            let servers = self.numbers.keys();
            let named = servers.map(|it| (names[*it].to_owned(), of(*it)));
            json!(named.collect::<Map<_, _>>())
        };
        json!({
            "work": self.case,
            "measure": self.measure,
            "target": self.target.map(|it| it.to_string()),
            "missed": self.missed(),
            "medians": by_name(&|it| json!(self.median(it))),
            "numbers": by_name(&|it| json!(self.numbers[&it])),
        })
    }
}
