//! What the numbers rest on, tried before each run: a part that is wrong ends it.

use crate::{
    books::Books,
    catalogue::Catalogue,
    fleet::Fleet,
    model::{DAY, DESIGNS, Model},
    policy::{Disk, Kind},
    random::Random,
    region,
    ring::Ring,
    trace::{self, Request, Trace},
    viewing,
};
use std::collections::{BTreeMap, BTreeSet};

pub fn check() {
    views_are_as_measured();
    titles_come_and_go();
    titles_have_homes();
    most_is_watched_in_the_evening();
    a_ring_moves_only_a_share();
    disks_keep_their_size();
    the_least_recently_used_goes_first();
    requests_come_in_order_and_again();
    an_endless_disk_lacks_each_chunk_once();
    whatever_is_delivered_came_from_somewhere();
    what_one_edge_was_asked_for_twice_is_in_the_tier();
}

fn small(disk: u64) -> Model {
    Model {
        seed: 7,
        titles: 60,
        zipf: 0.8,
        views: 100.0,
        disk,
        chunk: 8 << 20,
        warm_up: 1,
        tier_after: 2,
    }
}

fn is_about(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() < within, "{found} ≠ {expected}");
}

fn views_are_as_measured() {
    let mut random = Random::new(1);
    let views: Vec<_> = (0..20_000).map(|_| viewing::draw(&mut random)).collect();
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let watched: Vec<f64> = views
        .iter()
        .map(|view| view.iter().map(|it| it.to - it.from).sum())
        .collect();
    let complete = watched.iter().filter(|it| **it > 0.999).count();
    is_about(share(complete, views.len()), 0.2, 0.01);
    let early = watched.iter().filter(|it| **it < 0.5).count();
    is_about(share(early, views.len()), 0.564, 0.01);
    let stretches = views.iter().flatten();
    let short = stretches.clone().filter(|it| it.to - it.from <= 0.2);
    let short = share(short.count(), stretches.clone().count());
    assert!((0.6..0.75).contains(&short), "{short}");
    for view in &views {
        assert!(view.windows(2).all(|it| it[0].to <= it[1].from));
        let is_inside = |it: &viewing::Stretch| 0.0 <= it.from && it.from < it.to && it.to <= 1.0;
        assert!(view.iter().all(is_inside), "{view:?}");
    }
}

fn titles_come_and_go() {
    let model = small(1);
    let catalogue = Catalogue::new(&model);
    let mut random = Random::new(2);
    let mut seen = BTreeMap::new();
    let wanted = catalogue.wanted(1.0);
    for _ in 0..20_000 {
        let title = wanted.pick(&mut random);
        assert!(title.born <= 1.0 && 1.0 < title.born + crate::catalogue::LIFE);
        *seen.entry(title.rendition(&mut random).number).or_insert(0) += 1;
    }
    let titles: BTreeSet<_> = seen.keys().map(|it| it / 5).collect();
    assert_eq!(titles.len(), model.titles as usize);
}

fn titles_have_homes() {
    let mut random = Random::new(3);
    let mut count = |home| {
        let views = (0..10_000).map(|_| region::of_view(&mut random, home));
        views.filter(|it| *it == 5).count() as f64 / 10_000.0
    };
    is_about(count(Some(5)), region::AT_HOME as f64 / 100.0, 0.02);
    is_about(count(None), 0.125, 0.02);
    for edges in [1, 4, 16, 21] {
        let edge = |_| {
            let region = region::any(&mut random);
            region::edge(&mut random, region, edges)
        };
        let seen: BTreeSet<_> = (0..2000).map(edge).collect();
        assert!(seen.len() == edges && seen.iter().all(|it| *it < edges));
    }
}

fn most_is_watched_in_the_evening() {
    let hours: Vec<_> = (0..24)
        .map(|it| trace::time_of_day(f64::from(it) * 3600.0))
        .collect();
    is_about(hours.iter().sum::<f64>() / 24.0, 1.0, 1e-9);
    let busiest = (0..24).max_by(|a, b| hours[*a].total_cmp(&hours[*b]));
    // Two hours after the simulation begins at 19:00.
    assert_eq!(busiest, Some(2));
}

fn a_ring_moves_only_a_share() {
    let ring = |shields: &[usize]| Ring::new(shields.iter().copied()).expect("some shields");
    let groups = || (0..200).flat_map(|object| (0..50).map(move |group| (object, group)));
    let (all, without) = (ring(&[0, 1, 2, 3, 4]), ring(&[0, 1, 3, 4]));
    let mut of_each = [0; 5];
    for (object, group) in groups() {
        let owner = all.owner(object, group);
        of_each[owner] += 1;
        let now = without.owner(object, group);
        assert!(owner == 2 || now == owner, "a shield lost what is its own");
    }
    assert!(
        of_each.iter().all(|it| (1_600..=2_400).contains(it)),
        "{of_each:?}"
    );
    assert!(Ring::new([].into_iter()).is_none());
}

const KINDS: [Kind; 3] = [Kind::Whole, Kind::Slices, Kind::Chunks];

fn requests(model: &Model, catalogue: &Catalogue) -> Vec<Request> {
    Trace::new(model, catalogue, 1).collect()
}

fn disks_keep_their_size() {
    let model = small(20_000_000_000);
    let catalogue = Catalogue::new(&model);
    for kind in KINDS {
        let mut disk = Disk::new(kind, model.disk, model.chunk, catalogue.chunks);
        for request in requests(&model, &catalogue) {
            disk.serve(request.object, request.from..request.to);
            assert!(disk.used() <= model.chunks(model.disk), "{kind:?}");
        }
        let most = model.chunks(model.disk) as f64;
        assert!(disk.used() as f64 > 0.6 * most, "{kind:?} is never full");
    }
}

fn the_least_recently_used_goes_first() {
    let object = |number: u32| crate::catalogue::Object {
        number,
        start: number * 4,
        chunks: 4,
    };
    for kind in [Kind::Whole, Kind::Slices] {
        let mut disk = Disk::new(kind, 8, 1, 12);
        for number in [0, 1, 0, 2] {
            disk.serve(object(number), 0..4);
        }
        assert_eq!(disk.serve(object(0), 0..4).hit, 4, "{kind:?}");
        assert_eq!(disk.serve(object(1), 0..4).hit, 0, "{kind:?}");
    }
}

fn requests_come_in_order_and_again() {
    let model = small(1);
    let catalogue = Catalogue::new(&model);
    let first = requests(&model, &catalogue);
    assert!(first.windows(2).all(|it| it[0].at <= it[1].at));
    assert!(first == requests(&model, &catalogue));
    let views = model.views * f64::from(model.times().2) / f64::from(DAY);
    assert!(first.len() as f64 > 2.0 * views);
}

/// What only its size can make a cache fetch again.
fn an_endless_disk_lacks_each_chunk_once() {
    let model = small(1 << 50);
    let catalogue = Catalogue::new(&model);
    let requests = requests(&model, &catalogue);
    let (mut chunks, mut objects) = (BTreeSet::new(), BTreeMap::new());
    for request in &requests {
        let start = request.object.start;
        chunks.extend(start + request.from..start + request.to);
        objects.insert(request.object.number, u64::from(request.object.chunks));
    }
    for kind in KINDS {
        let mut disk = Disk::new(kind, model.disk, model.chunk, catalogue.chunks);
        let served = requests
            .iter()
            .map(|it| disk.serve(it.object, it.from..it.to));
        let fetched: u64 = served
            .flat_map(|it| it.missing)
            .map(|run| u64::from(run.end - run.start))
            .sum();
        let expected = match kind {
            Kind::Whole => objects.values().sum(),
            _ => chunks.len() as u64,
        };
        assert_eq!(fetched, expected, "{kind:?}");
    }
}

fn whatever_is_delivered_came_from_somewhere() {
    let model = small(20_000_000_000);
    let catalogue = Catalogue::new(&model);
    for design in DESIGNS {
        let mut fleet = Fleet::new(&design, 20, &model, catalogue.chunks);
        let mut all = Books::default();
        for request in Trace::new(&model, &catalogue, 20) {
            let books = fleet.serve(&request);
            assert!(
                books.balance() || design.kind == Kind::Whole,
                "{}: {books:?}",
                design.name
            );
            all += books;
        }
        assert!(all.hit > 0 && all.origin > 0, "{}", design.name);
        assert_eq!(all.shield > 0, design.ring, "{}", design.name);
        assert_eq!(all.tier > 0, design.tier, "{}", design.name);
        assert_eq!(all.tier_written, fleet.in_tier(), "{}", design.name);
    }
}

fn what_one_edge_was_asked_for_twice_is_in_the_tier() {
    let model = small(1 << 40);
    let catalogue = Catalogue::new(&model);
    let with_tier = DESIGNS.iter().find(|it| it.tier && !it.ring);
    let mut fleet = Fleet::new(
        with_tier.expect("such a design"),
        2,
        &model,
        catalogue.chunks,
    );
    let mut request = requests(&model, &catalogue)[0];
    let mut ask = |edge| {
        request.edge = edge;
        let books = fleet.serve(&request);
        (books.origin > 0, books.tier > 0, books.tier_written > 0)
    };
    assert_eq!(ask(0), (true, false, false));
    assert_eq!(ask(1), (true, false, false));
    assert_eq!(ask(1), (false, false, true));
    fleet.replace(0);
    request.edge = 0;
    let books = fleet.serve(&request);
    assert_eq!((books.tier, books.origin), (books.delivered, 0));
}
