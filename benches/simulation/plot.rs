//! The figures.

mod axis;
mod bars;
mod lines;
mod svg;

use crate::{
    model::{DESIGNS, FRESH_STEP, Model, POLICIES},
    runs::Outcome,
    table,
};
use axis::{Axis, Scale};
use bars::{Bar, Bars};
use lines::{Line, Lines};

/// Every figure, with the name of its file.
pub fn all(model: &Model, fleets: &[Outcome], disks: &[Outcome]) -> Vec<(&'static str, String)> {
    let most = fleets.iter().map(|it| it.edges).max().unwrap_or(1);
    // Where nothing stands out any more but what differs.
    let shown = fleets
        .iter()
        .map(|it| it.edges)
        .filter(|it| *it <= 64)
        .max();
    let shown = shown.unwrap_or(most);
    let mut all = Vec::new();
    if !fleets.is_empty() {
        all.push(("origin.svg", origin(model, fleets)));
        all.push(("sources.svg", sources(fleets, shown)));
        all.push(("new-edge.svg", new_edge(fleets, shown)));
    }
    if !disks.is_empty() {
        all.push(("disk-hits.svg", disk_hits(model, disks)));
        all.push(("disk-writes.svg", disk_writes(model, disks)));
    }
    all
}

fn origin(model: &Model, fleets: &[Outcome]) -> String {
    let rate = |it: &Outcome| table::gigabits(model, it.busiest_hour());
    let lines = DESIGNS.iter().enumerate().map(|(class, design)| {
        let own = fleets.iter().filter(|it| it.design.name == design.name);
        let points = own.map(|it| (it.edges as f64, rate(it)));
        Line::new(design.name, format!("c{class}"), points)
    });
    Lines {
        title: "What the origin must send in its busiest hour",
        x: Axis::new(
            "edges, each with the same viewers and disk",
            Scale::Log(2.0),
        ),
        y: Axis::new("Gbit/s", Scale::Log(10.0)),
        lines: lines.collect(),
    }
    .draw()
}

fn sources(fleets: &[Outcome], edges: usize) -> String {
    let fleet = fleets.iter().filter(|it| it.edges == edges);
    let bars = fleet.map(|it| {
        let books = &it.books;
        let wanted = books.delivered - books.hit - books.shield - books.tier;
        Bar {
            label: it.design.name,
            parts: vec![
                books.share(books.hit),
                books.share(books.shield),
                books.share(books.tier),
                books.share(wanted),
                books.share(books.origin - wanted),
            ],
        }
    });
    Bars {
        title: format!("Where the bytes come from, {edges} edges"),
        x: Axis::new("% of what viewers get", Scale::Linear),
        parts: [
            "edge's disk",
            "shields",
            "tier",
            "origin",
            "origin, wanted by nobody",
        ],
        bars: bars.collect(),
    }
    .draw()
}

fn new_edge(fleets: &[Outcome], edges: usize) -> String {
    let own = |name: &str| {
        fleets
            .iter()
            .find(|it| it.edges == edges && it.design.name == name)
    };
    // What fetches whole objects is off this scale for hours.
    let designs = DESIGNS.iter().enumerate().skip(1);
    let lines = designs.filter_map(|(class, design)| {
        let steps = own(design.name)?.fresh.iter().enumerate();
        let points = steps.map(|(step, books)| {
            let hours = (step as f64 + 0.5) * f64::from(FRESH_STEP) / 3600.0;
            (hours, books.share(books.origin) * 100.0)
        });
        Some(Line::new(design.name, format!("c{class}"), points))
    });
    Lines {
        title: "What an empty edge in a warm fleet takes from the origin",
        x: Axis::new("hours since it came, at 19:00", Scale::Linear),
        y: Axis::new("% of what its viewers get", Scale::Linear),
        lines: lines.collect(),
    }
    .draw()
}

fn disk_hits(model: &Model, disks: &[Outcome]) -> String {
    let hits = |it: &Outcome| it.books.share(it.books.hit) * 100.0;
    let mut lines = by_disk(model, disks, hits);
    // Whole objects answer more, by having brought what nobody wants.
    lines.remove(0);
    Lines {
        title: "What the disk of an edge answers",
        x: Axis::new("disk, % of the catalogue", Scale::Log(2.0)),
        y: Axis::new("% of what viewers get", Scale::Linear),
        lines,
    }
    .draw()
}

fn disk_writes(model: &Model, disks: &[Outcome]) -> String {
    let writes = |it: &Outcome| it.books.share(it.books.written) * 100.0;
    Lines {
        title: "What an edge fetches, and writes to its disk",
        x: Axis::new("disk, % of the catalogue", Scale::Log(2.0)),
        y: Axis::new("% of what viewers get", Scale::Log(10.0)),
        lines: by_disk(model, disks, writes),
    }
    .draw()
}

/// A line for each policy, the whole objects' first.
fn by_disk(model: &Model, disks: &[Outcome], value: impl Fn(&Outcome) -> f64) -> Vec<Line> {
    let classes = ["c0", "c1", "c2", "c2 dashed"];
    let lines = POLICIES.iter().zip(classes).map(|(policy, class)| {
        let own = disks.iter().filter(|it| it.design.name == policy.name);
        let points = own.map(|it| (table::disk_share(model, it) * 100.0, value(it)));
        Line::new(policy.name, class.into(), points)
    });
    lines.collect()
}
