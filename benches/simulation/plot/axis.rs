//! From numbers to places.

/// What an axis is of.
#[derive(Clone, Debug)]
pub struct Axis {
    pub label: &'static str,
    scale: Scale,
    from: f64,
    to: f64,
}

/// How places follow from numbers.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    /// From zero on.
    Linear,
    /// With a tick for each power of this.
    Log(f64),
}

impl Axis {
    pub fn new(label: &'static str, scale: Scale) -> Self {
        Self {
            label,
            scale,
            from: 0.0,
            to: 1.0,
        }
    }

    /// Long enough for all these numbers; on a scale of powers, from the least of them on.
    pub fn over(mut self, numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let most = numbers.clone().fold(f64::MIN_POSITIVE, f64::max);
        match self.scale {
            Scale::Linear => {
                let step = step(most);
                self.to = (most / step - 1e-9).ceil() * step;
            }
            Scale::Log(_) => {
                let least = numbers.filter(|it| *it > 0.0).fold(most, f64::min);
                (self.from, self.to) = (least / MARGIN, most * MARGIN);
            }
        }
        self
    }

    /// From 0 to 1, within the axis.
    pub fn place(&self, number: f64) -> f64 {
        match self.scale {
            Scale::Linear => number / self.to,
            Scale::Log(_) => {
                let number = number.max(self.from);
                (number / self.from).ln() / (self.to / self.from).ln()
            }
        }
    }

    /// Numbers worth a line, with what is written there.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let numbers: Vec<f64> = match self.scale {
            Scale::Linear => {
                let step = step(self.to);
                let count = (self.to / step).round() as u32;
                (0..=count).map(|it| f64::from(it) * step).collect()
            }
            Scale::Log(base) => self.powers(base),
        };
        let written = |it: f64| match it {
            _ if it >= 1.0 || it == 0.0 => format!("{}", (it * 10.0).round() / 10.0),
            _ => format!("{}", (it * 1000.0).round() / 1000.0),
        };
        numbers.into_iter().map(|it| (it, written(it))).collect()
    }

    /// The powers within the axis; of ten, twice and five times each of them, too.
    fn powers(&self, base: f64) -> Vec<f64> {
        let first = (self.from.ln() / base.ln()).floor() as i32;
        let last = (self.to.ln() / base.ln()).ceil() as i32;
        let between: &[f64] = if base == 10.0 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let powers = (first..=last).map(|it| base.powi(it));
        let all = powers.flat_map(|power| between.iter().map(move |it| it * power));
        all.filter(|it| (self.from..=self.to).contains(it))
            .collect()
    }
}

/// What is left on both sides of a scale of powers, as a factor.
const MARGIN: f64 = 1.08;

/// A round number of which about five fit.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 5.0).log10().floor());
    let rounds = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
    let fits = |it: &&f64| most / **it <= 6.0;
    rounds.iter().find(fits).copied().unwrap_or(most)
}
