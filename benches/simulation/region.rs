//! Where viewers and edges are.

use crate::random::Random;

/// A part of the world, by number.
pub type Region = u8;

const REGIONS: u8 = 8;
/// Of 100 views of a title that has a home, those that come from there.
pub const AT_HOME: u64 = 80;

/// One of all, each as likely as the others.
pub fn any(random: &mut Random) -> Region {
    random.below(u64::from(REGIONS)) as Region
}

/// Where a view comes from.
pub fn of_view(random: &mut Random, home: Option<Region>) -> Region {
    match home {
        // Among the others, the home is as likely as any: AT_HOME is reached with a little less.
        Some(home) if random.unit() < at_home_besides_chance() => home,
        _ => any(random),
    }
}

fn at_home_besides_chance() -> f64 {
    let by_chance = 1.0 / f64::from(REGIONS);
    (AT_HOME as f64 / 100.0 - by_chance) / (1.0 - by_chance)
}

/// The edge that a viewer is sent to: any of the region's, or the one that serves it with others
/// where there are fewer edges than regions.
pub fn edge(random: &mut Random, region: Region, edges: usize) -> usize {
    let (region, regions) = (usize::from(region), usize::from(REGIONS));
    if edges < regions {
        return region % edges;
    }
    let own = (edges - region).div_ceil(regions);
    region + regions * random.below(own as u64) as usize
}
