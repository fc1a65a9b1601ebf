//! Those who mean harm: what does somebody in a hurry notice of them?

use super::{Findings, MB, Stage};
use crate::{
    attacks::{self, Target},
    catalogue::Object,
    kit::{
        client::{Client, Reading},
        memory::MemoryWatch,
        report::value,
    },
    probe,
};
use std::io;

const IDLE_PER_ATTACKER: u64 = 10;

/// How many connections are opened that never ask for anything.
pub fn idle_connections(attackers: u64) -> u64 {
    attackers * IDLE_PER_ATTACKER
}

pub fn run(stage: &Stage) -> io::Result<Findings> {
    let scale = stage.scale;
    let known = Object::new(scale.largest, "known");
    stage.warm(std::slice::from_ref(&known))?;
    let server = stage.server.address();
    let memory = MemoryWatch::start(stage.server.pid());
    let idle = probe::alone(server, &known, scale.time)?;
    let mut findings = Findings::of(
        "hostile: nobody",
        vec![value("fast client's p99, ms", idle.p99_ms())],
    );
    let (mut answers, mut failures) = (idle.answers(), idle.errors);
    for attack in attacks::ALL.iter().filter(|it| it.is_here()) {
        let target = Target {
            server,
            known: known.clone(),
            attackers: attack.attackers(scale.clients),
            time: scale.time,
        };
        let (seen, outcome) = probe::beside(server, &known, scale.time, || attack.run(&target))?;
        answers += seen.answers();
        failures += seen.errors;
        let mut values = vec![
            value("fast client's p99, ms", seen.p99_ms()),
            value("÷ idle", seen.p99_ms() / idle.p99_ms()).at_most(2.0),
            value("fast client's errors", seen.errors as f64).at_most(0.0),
        ];
        if let Some(outcome) = outcome {
            values.push(value("strokes", outcome.strokes as f64));
            values.push(value("cut by the server", outcome.cut as f64));
            values.push(value("held at the end", outcome.held as f64));
        }
        findings.values.push((attack.title, values));
    }
    findings.answers = answers;
    findings.failures = failures;
    // Whatever was done to it, it serves on, and what it serves is right.
    Client::new(server).get(&known.path, None, Reading::Check)?;
    let peak = memory.peak() as f64 / MB as f64;
    let after = vec![value("memory peak, MB", peak)];
    findings.values.push(("hostile: in all", after));
    Ok(findings)
}
