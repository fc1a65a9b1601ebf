//! What is simulated: fleets of several sizes, and disks of several sizes.

use crate::{
    books::Books,
    catalogue::Catalogue,
    fleet::{Design, Fleet},
    model::{DESIGNS, FRESH_STEP, Model, POLICIES},
    trace::Trace,
};

/// What one fleet has come to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub edges: usize,
    /// Disk of each edge, in bytes.
    pub disk: u64,
    pub design: Design,
    /// Of the time that is counted.
    pub books: Books,
    /// Chunks from the origin in each hour of that.
    pub by_hour: Vec<u64>,
    /// Of the edges that came empty into a warm fleet, step by step from then on.
    pub fresh: Vec<Books>,
    /// Chunks in the tier at the end.
    pub in_tier: u64,
    /// Chunks in the catalogue, of the titles that are there at a time.
    pub catalogue: f64,
}

impl Outcome {
    /// Chunks from the origin in the hour in which they were most.
    pub fn busiest_hour(&self) -> u64 {
        self.by_hour.iter().copied().max().unwrap_or(0)
    }

    /// The books of the first hour of an empty edge.
    pub fn first_hour(&self) -> Books {
        let mut all = Books::default();
        let hour = self.fresh.iter().take(3600 / FRESH_STEP as usize);
        hour.for_each(|step| all += *step);
        all
    }
}

/// Each design with each number of edges.
pub fn fleets(model: &Model, edges: &[usize]) -> Vec<Outcome> {
    let catalogue = Catalogue::new(model);
    let pairs = edges
        .iter()
        .flat_map(|edges| DESIGNS.iter().map(move |design| (*edges, design)));
    pairs
        .map(|(edges, design)| {
            eprintln!("{edges} edges · {}", design.name);
            run(model, &catalogue, edges, design)
        })
        .collect()
}

/// Each policy with each size of disk, on edges by themselves, one in each region.
pub fn disks(model: &Model, disks: &[u64]) -> Vec<Outcome> {
    const EDGES: usize = 8;
    let patient = model.patient();
    let catalogue = Catalogue::new(&patient);
    let pairs = disks
        .iter()
        .flat_map(|disk| POLICIES.iter().map(move |policy| (*disk, policy)));
    pairs
        .map(|(disk, policy)| {
            eprintln!("{} GB · {}", disk / 1_000_000_000, policy.name);
            let model = Model {
                disk,
                ..patient.clone()
            };
            run(&model, &catalogue, EDGES, policy)
        })
        .collect()
}

fn run(model: &Model, catalogue: &Catalogue, edges: usize, design: &Design) -> Outcome {
    let (warm, measured, end) = model.times();
    let mut fleet = Fleet::new(design, edges, model, catalogue.chunks);
    let mut outcome = Outcome {
        edges,
        disk: model.disk,
        design: *design,
        books: Books::default(),
        by_hour: vec![0; (measured - warm).div_ceil(3600) as usize],
        fresh: vec![Books::default(); (end - measured).div_ceil(FRESH_STEP) as usize],
        in_tier: 0,
        catalogue: catalogue.bytes(model) / f64::from(model.chunk),
    };
    let mut replaced = false;
    for request in Trace::new(model, catalogue, edges) {
        if request.at >= measured && !replaced {
            replaced = true;
            (0..edges)
                .filter(|it| is_fresh(*it))
                .for_each(|it| fleet.replace(it));
        }
        let books = fleet.serve(&request);
        if request.at >= measured {
            if is_fresh(request.edge) {
                outcome.fresh[((request.at - measured) / FRESH_STEP) as usize] += books;
            }
        } else if request.at >= warm {
            outcome.books += books;
            outcome.by_hour[((request.at - warm) / 3600) as usize] += books.origin;
        }
    }
    outcome.in_tier = fleet.in_tier();
    outcome
}

/// Whether an edge is one of those that are replaced: one, and one more for each sixteen.
fn is_fresh(edge: usize) -> bool {
    const ONE_OF: usize = 16;
    edge.is_multiple_of(ONE_OF)
}
