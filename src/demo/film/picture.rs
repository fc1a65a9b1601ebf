//! What is drawn: dusk over the sea, a wave that runs, a tide that rises and falls, the time.
//!
//! All of it is integer arithmetic, so the film is the same on every machine. Only a narrow band
//! changes from one frame to the next, which is what keeps a film of raw macroblocks small.

use super::{FRAMES_PER_SECOND, font};

/// Side of a macroblock in luma samples.
pub const MACROBLOCK: usize = 16;
/// Macroblocks in a row.
pub const COLUMNS: usize = 40;
/// Rows of macroblocks; the last is cut by cropping.
pub const ROWS: usize = 23;
/// Luma samples in a row.
pub const WIDTH: usize = COLUMNS * MACROBLOCK;
/// Visible rows of luma samples.
pub const HEIGHT: usize = 360;

/// Luma and two chroma samples, in the "video" range of 16 to 235 and 240.
type Colour = [u8; 3];

/// One component of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Samples in a row.
    pub width: usize,
    /// The rows, one after the other.
    pub samples: Vec<u8>,
}

/// A picture in YUV 4:2:0 whose planes are whole macroblocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Y, Cb, Cr.
    pub planes: [Plane; 3],
}

impl Picture {
    /// All grey.
    pub fn new() -> Self {
        let plane = |step: usize| Plane {
            width: WIDTH / step,
            samples: vec![128; WIDTH / step * (ROWS * MACROBLOCK / step)],
        };
        Self {
            planes: [plane(1), plane(2), plane(2)],
        }
    }

    /// Each sample from the luma position that it stands for.
    fn painted(colour: impl Fn(i32, i32) -> Colour) -> Self {
        let mut picture = Self::new();
        for (component, plane) in picture.planes.iter_mut().enumerate() {
            let (width, step) = (plane.width, step(component));
            for (place, sample) in plane.samples.iter_mut().enumerate() {
                let (x, y) = (place % width * step, place / width * step);
                *sample = colour(x as i32, y as i32)[component];
            }
        }
        picture
    }

    /// A filled rectangle, in luma positions; what lies outside is left out.
    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        for (component, plane) in self.planes.iter_mut().enumerate() {
            let step = step(component);
            let (from, to) = (x / step, ((x + width) / step).min(plane.width));
            for row in (y / step)..((y + height) / step) {
                let start = row * plane.width;
                if let Some(run) = plane.samples.get_mut(start + from..start + to) {
                    run.fill(colour[component]);
                }
            }
        }
    }

    /// A line of text, its top left corner at `x`, `y`.
    fn text(&mut self, x: usize, y: usize, dot: usize, text: &str) {
        for (place, letter) in text.chars().enumerate() {
            let left = x + place * (font::WIDTH + 1) * dot;
            for (row, line) in font::glyph(letter).into_iter().enumerate() {
                for column in (0..font::WIDTH).filter(|c| line >> (font::WIDTH - 1 - c) & 1 == 1) {
                    self.fill(left + column * dot, y + row * dot, dot, dot, INK);
                }
            }
        }
    }
}

/// Everything that does not move, and the length of the film.
#[derive(Debug)]
pub struct Scene {
    sky: Picture,
    sea: Picture,
    frames: u32,
}

impl Scene {
    /// The scene of a film of so many frames.
    pub fn new(frames: u32) -> Self {
        Self {
            sky: Picture::painted(sky),
            sea: Picture::painted(sea),
            frames: frames.max(1),
        }
    }

    /// The picture of one frame, counted from 0.
    pub fn draw(&self, frame: u32) -> Picture {
        let mut picture = self.sky.clone();
        self.draw_wave(&mut picture, frame);
        picture.text(24, 20, 4, "TIDEGATE");
        let hundredths = u64::from(frame) * 100 / u64::from(FRAMES_PER_SECOND);
        let (minutes, seconds) = (hundredths / 6000, hundredths / 100 % 60);
        let clock = format!("{minutes:02}:{seconds:02}.{:02}", hundredths % 100);
        picture.text(24, 56, 4, &clock);
        picture.text(24, 92, 2, &format!("FRAME {frame:05}"));
        let done = u64::from(frame + 1) * BAR as u64 / u64::from(self.frames);
        picture.fill(24, 340, BAR, 4, TROUGH);
        picture.fill(24, 340, done as usize, 4, INK);
        picture
    }

    /// Sea where the wave is, sky above it, foam between them.
    fn draw_wave(&self, picture: &mut Picture, frame: u32) {
        let surface: Vec<i32> = (0..WIDTH).map(|x| surface(x as i32, frame)).collect();
        for (component, plane) in picture.planes.iter_mut().enumerate() {
            let (step, sea) = (step(component), &self.sea.planes[component].samples);
            let (from, to) = (HIGHEST / step * plane.width, LOWEST / step * plane.width);
            plane.samples[to..].copy_from_slice(&sea[to..]);
            for place in from..to {
                let (x, y) = (place % plane.width * step, place / plane.width * step);
                let depth = (y as i32 + 1) * FINE - surface[x];
                let (sky, sea, foam) = (plane.samples[place], sea[place], FOAM[component]);
                plane.samples[place] = match depth {
                    ..=0 => sky,
                    1..FINE => blend(sky, foam, depth),
                    FINE..CREST => foam,
                    CREST..WASHED => blend(foam, sea, depth - CREST),
                    _ => sea,
                };
            }
        }
    }
}

/// Height of the water over column `x`, in parts of a row from the top.
fn surface(x: i32, frame: u32) -> i32 {
    let time = frame as i32;
    let tide = wave(time * TURN / (FRAMES_PER_SECOND * TIDE_SECONDS) as i32, 16);
    let long = wave(x * 3 + time * 17, 12);
    let short = wave(x * 8 + time * 34, 3);
    268 * FINE + tide + long + short
}

/// A sine of `phase` (a turn has [`TURN`] steps) with this many rows to either side, after
/// Bhaskara's rational formula, which errs by less than two thousandths.
fn wave(phase: i32, rows: i32) -> i32 {
    const HALF: i32 = TURN / 2;
    let phase = phase.rem_euclid(TURN);
    let (arc, sign) = (phase % HALF, if phase < HALF { 1 } else { -1 });
    let product = arc * (HALF - arc);
    sign * rows * FINE * 16 * (product / 16) / ((5 * HALF * HALF - 4 * product) / 16)
}

/// Dusk, the sun half gone, hills, and the far sea with the sun's glint on it.
fn sky(x: i32, y: i32) -> Colour {
    let (dx, dy) = (x - SUN.0, y - SUN.1);
    let hill = HORIZON - 12 - wave(x * 2 + 300, 9) / FINE - wave(x * 5 + 120, 4) / FINE;
    if y >= HORIZON {
        let glint = dx.abs() < 54 - (y - HORIZON) / 3 && y / 4 % 2 == 0;
        return if glint {
            GLINT
        } else {
            mix(FAR, NEAR, y - HORIZON, 120)
        };
    }
    if x < 360 && y > hill + x / 12 {
        return HILL;
    }
    if dx * dx + dy * dy < SUN.2 * SUN.2 {
        return SUNLIGHT;
    }
    mix(NIGHT, DUSK, y * y / HORIZON, HORIZON)
}

/// Deep water: darker the deeper.
fn sea(_x: i32, y: i32) -> Colour {
    mix(
        SHALLOW,
        DEEP,
        y - HIGHEST as i32,
        HEIGHT as i32 - HIGHEST as i32,
    )
}

/// The colour `part` of `whole` on the way between two.
fn mix(from: Colour, to: Colour, part: i32, whole: i32) -> Colour {
    let part = part.clamp(0, whole);
    std::array::from_fn(|i| {
        let (from, to) = (i32::from(from[i]), i32::from(to[i]));
        (from + (to - from) * part / whole) as u8
    })
}

/// The sample `part` of [`FINE`] on the way between two.
fn blend(from: u8, to: u8, part: i32) -> u8 {
    let (from, to) = (i32::from(from), i32::from(to));
    (from + (to - from) * part / FINE) as u8
}

/// Luma samples, in each direction, for one sample of this component.
fn step(component: usize) -> usize {
    if component == 0 { 1 } else { 2 }
}

/// Parts of a row in which the water's height is reckoned.
const FINE: i32 = 16;
/// Steps of a full turn.
const TURN: i32 = 1024;
/// Depth, in parts of a row, down to which the crest is all foam.
const CREST: i32 = 5 * FINE;
/// Depth at which the foam has gone.
const WASHED: i32 = CREST + FINE;
/// From one high tide to the next.
const TIDE_SECONDS: u32 = 24;
/// A row that the water never reaches: 268 less 16 + 12 + 3, and some to spare.
const HIGHEST: usize = 232;
/// A row that the foam never reaches, likewise.
const LOWEST: usize = 308;
const HORIZON: i32 = 190;
/// Middle and radius of the sun.
const SUN: (i32, i32, i32) = (470, 178, 44);
/// Length of the bar that shows how much of the film has gone.
const BAR: usize = WIDTH - 48;

const INK: Colour = [228, 128, 128];
const TROUGH: Colour = [90, 134, 118];
const NIGHT: Colour = [38, 148, 122];
const DUSK: Colour = [168, 96, 166];
const SUNLIGHT: Colour = [214, 84, 150];
const GLINT: Colour = [176, 96, 152];
const HILL: Colour = [40, 132, 128];
const FAR: Colour = [104, 132, 128];
const NEAR: Colour = [70, 146, 112];
const SHALLOW: Colour = [86, 150, 100];
const DEEP: Colour = [34, 146, 112];
const FOAM: Colour = [220, 132, 122];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wave_goes_once_round_and_keeps_to_its_height() {
        assert_eq!(wave(0, 10), 0);
        assert_eq!(wave(TURN / 4, 10), 10 * FINE);
        assert_eq!(wave(3 * TURN / 4, 10), -10 * FINE);
        for phase in -2 * TURN..2 * TURN {
            let exact = (f64::from(phase) * std::f64::consts::TAU / f64::from(TURN)).sin();
            assert!((f64::from(wave(phase, 10)) - exact * 160.0).abs() < 2.0);
        }
    }

    #[test]
    fn the_water_stays_between_the_rows_that_it_never_reaches() {
        let band = HIGHEST as i32 * FINE..LOWEST as i32 * FINE - WASHED;
        for frame in 0..FRAMES_PER_SECOND * TIDE_SECONDS * 3 {
            assert!((0..WIDTH).all(|x| band.contains(&surface(x as i32, frame))));
        }
    }

    #[test]
    fn samples_keep_to_the_video_range() {
        let picture = Scene::new(10).draw(3);
        for plane in &picture.planes {
            assert!(plane.samples.iter().all(|s| (16..=235).contains(s)));
        }
    }
}
