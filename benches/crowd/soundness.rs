//! What the scenarios rest on, tried before each run: a check that can't fail would find nothing.

use crate::{
    catalogue::{self, Zipf},
    kit::{body::Content, random::Random},
    samples,
    scenarios::MB,
};

pub fn check() {
    bytes_in_another_place_are_noticed();
    wanted_objects_are_asked_for_most();
    sizes_are_log_uniform();
    a_rise_shows_as_a_slope();
}

fn bytes_in_another_place_are_noticed() {
    let content = Content::of("/9000000/one");
    let piece = content.piece(5 << 20, 4096);
    assert!(content.matches(5 << 20, piece));
    assert!(!content.matches((5 << 20) + 1, piece));
    assert!(!content.matches(6 << 20, piece));
    assert!(!Content::of("/9000000/two").matches(5 << 20, piece));
}

fn wanted_objects_are_asked_for_most() {
    let (zipf, mut random) = (Zipf::new(100, 1.0), Random::new(1));
    let picks: Vec<_> = (0..100_000).map(|_| zipf.pick(&mut random)).collect();
    let times = |place| picks.iter().filter(|it| **it == place).count() as f64;
    let ratio = times(0) / times(9);
    assert!((8.0..12.0).contains(&ratio), "{ratio}");
    assert!(times(99) > 0.0);
}

fn sizes_are_log_uniform() {
    let mut random = Random::new(2);
    let sizes: Vec<_> = (0..10_000)
        .map(|_| catalogue::size(&mut random, 100 * MB))
        .collect();
    assert!(sizes.iter().all(|it| (MB..=100 * MB).contains(it)));
    let small = sizes.iter().filter(|it| **it < 10 * MB).count();
    assert!((4_500..5_500).contains(&small), "{small}");
}

fn a_rise_shows_as_a_slope() {
    let rising: Vec<f64> = (0..60).map(|it| 100.0 + 0.5 * f64::from(it)).collect();
    assert!((samples::slope(&rising) - 0.5).abs() < 1e-9);
    assert!(samples::slope(&[7.0; 60]).abs() < 1e-9);
}
