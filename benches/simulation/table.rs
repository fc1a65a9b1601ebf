//! What was found, as people and programs read it.

use crate::{
    catalogue::{Catalogue, LIFE},
    model::{GROUP, Model},
    runs::Outcome,
};
use serde_json::json;
use std::fmt::Write;

/// Where the bytes come from, and what that costs the origin and the disks.
pub fn fleets(model: &Model, outcomes: &[Outcome], markdown: bool) -> String {
    let mut lines = vec![cells(&[
        "edges",
        "design",
        "edge's disk, %",
        "shields, %",
        "tier, %",
        "origin, %",
        "origin at its busiest, Gbit/s",
        "disk writes, %",
        "origin in an empty edge's first hour, %",
    ])];
    for outcome in outcomes {
        let first = outcome.first_hour();
        let (books, design) = (&outcome.books, outcome.design);
        lines.push(vec![
            outcome.edges.to_string(),
            design.name.into(),
            percent(books.share(books.hit)),
            or_none(design.ring, percent(books.share(books.shield))),
            or_none(design.tier, percent(books.share(books.tier))),
            percent(books.share(books.origin)),
            short(gigabits(model, outcome.busiest_hour())),
            percent(books.share(books.written)),
            percent(first.share(first.origin)),
        ]);
    }
    grid(&lines, 2, markdown)
}

/// How often it is asked for that, and what the tier holds.
pub fn requests(model: &Model, outcomes: &[Outcome], markdown: bool) -> String {
    let mut lines = vec![cells(&[
        "edges",
        "design",
        "origin, requests per GB",
        "tier, reads per GB",
        "tier, writes per GB",
        "tier, written, %",
        "tier holds, % of the catalogue",
    ])];
    for outcome in outcomes {
        let (books, design) = (&outcome.books, outcome.design);
        let gigabytes = (model.bytes(books.delivered) / 1e9).max(1e-9);
        let per_gb = |count: u64| short(count as f64 / gigabytes);
        let held = outcome.in_tier as f64 / outcome.catalogue;
        lines.push(vec![
            outcome.edges.to_string(),
            design.name.into(),
            per_gb(books.origin_requests),
            or_none(design.tier, per_gb(books.tier_gets)),
            or_none(design.tier, per_gb(books.tier_puts)),
            or_none(design.tier, percent(books.share(books.tier_written))),
            or_none(design.tier, percent(held)),
        ]);
    }
    grid(&lines, 2, markdown)
}

/// One row for each disk and policy.
pub fn disks(model: &Model, outcomes: &[Outcome], markdown: bool) -> String {
    let mut lines = vec![cells(&[
        "disk, % of the catalogue",
        "policy",
        "edge's disk, %",
        "origin, %",
        "disk writes, %",
    ])];
    for outcome in outcomes {
        let books = &outcome.books;
        lines.push(vec![
            percent(disk_share(model, outcome)),
            outcome.design.name.into(),
            percent(books.share(books.hit)),
            percent(books.share(books.origin)),
            percent(books.share(books.written)),
        ]);
    }
    grid(&lines, 2, markdown)
}

/// What the numbers are of, in one line.
pub fn describe(model: &Model) -> String {
    let catalogue = Catalogue::new(model);
    let bytes = catalogue.bytes(model);
    let counted = f64::from(model.warm_up) + 0.5;
    format!(
        "{} titles of {:.1} TB with all renditions, {:.0} new each day; {:.0} views a day for each \
         edge; {} GB of disk ({:.1} % of the catalogue); chunks of {} MiB; groups of {} MiB; a day \
         counted after {} days, {} for edges by themselves; {:.0} % of views go to titles of the \
         last seven days; seed {}",
        model.titles,
        bytes / 1e12,
        f64::from(model.titles) / LIFE,
        model.views,
        model.disk / 1_000_000_000,
        model.disk as f64 / bytes * 100.0,
        model.chunk >> 20,
        GROUP >> 20,
        model.warm_up,
        model.patient().warm_up,
        catalogue.wanted(counted).share_of_news(counted, 7.0) * 100.0,
        model.seed,
    )
}

/// Everything, in chunks where it is no number of requests.
pub fn json(model: &Model, fleets: &[Outcome], disks: &[Outcome]) -> serde_json::Value {
    let all = |outcomes: &[Outcome]| outcomes.iter().map(row).collect::<Vec<_>>();
    json!({
        "model": describe(model),
        "chunk_bytes": model.chunk,
        "fleets": all(fleets),
        "disks": all(disks),
    })
}

fn row(outcome: &Outcome) -> serde_json::Value {
    let books = |it: &crate::books::Books| {
        json!({
            "delivered": it.delivered,
            "hit": it.hit,
            "shield": it.shield,
            "tier": it.tier,
            "origin": it.origin,
            "written": it.written,
            "tier_written": it.tier_written,
            "origin_requests": it.origin_requests,
            "tier_gets": it.tier_gets,
            "tier_puts": it.tier_puts,
        })
    };
    json!({
        "edges": outcome.edges,
        "disk_bytes": outcome.disk,
        "design": outcome.design.name,
        "books": books(&outcome.books),
        "origin_by_hour": outcome.by_hour,
        "empty_edges": outcome.fresh.iter().map(books).collect::<Vec<_>>(),
        "in_tier": outcome.in_tier,
        "in_catalogue": outcome.catalogue,
    })
}

/// An hour's chunks as a rate.
pub fn gigabits(model: &Model, chunks: u64) -> f64 {
    model.bytes(chunks) * 8.0 / 3600.0 / 1e9
}

/// An edge's disk as a share of the catalogue.
pub fn disk_share(model: &Model, outcome: &Outcome) -> f64 {
    model.chunks(outcome.disk) as f64 / outcome.catalogue
}

fn cells(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|it| (*it).to_owned()).collect()
}

fn or_none(is_there: bool, text: String) -> String {
    if is_there { text } else { "–".into() }
}

fn percent(share: f64) -> String {
    short(share * 100.0)
}

/// Three digits that matter, or two behind the point.
fn short(number: f64) -> String {
    let places = match number.abs() {
        it if it >= 100.0 => 0,
        it if it >= 10.0 => 1,
        _ => 2,
    };
    format!("{number:.places$}")
}

/// Lines of cells, the first ones being the heading; so many columns of words before the numbers.
fn grid(lines: &[Vec<String>], words: usize, markdown: bool) -> String {
    let mut text = String::new();
    if markdown {
        for (number, cells) in lines.iter().enumerate() {
            let _ = writeln!(text, "| {} |", cells.join(" | "));
            if number == 0 {
                let rule = |at| if at < words { "---" } else { "---:" };
                let rules: Vec<_> = (0..cells.len()).map(rule).collect();
                let _ = writeln!(text, "|{}|", rules.join("|"));
            }
        }
        return text;
    }
    let columns = lines.first().map_or(0, Vec::len);
    let width = |at: usize| lines.iter().map(|it| it[at].chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    for cells in lines {
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let _ = match at < words {
                true => write!(text, "{cell:<width$}  "),
                false => write!(text, "{cell:>width$}  "),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
