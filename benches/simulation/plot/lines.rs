//! A figure of lines, each with its name at its end.

use super::{
    axis::Axis,
    svg::{Anchor, Picture},
};

/// Everything in such a figure.
pub struct Lines {
    pub title: &'static str,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

/// One of them.
pub struct Line {
    label: &'static str,
    class: String,
    points: Vec<(f64, f64)>,
}

const SIZE: (f64, f64) = (780.0, 420.0);
/// Where the lines are: left, top, right, bottom. To the right of it are their names.
const FIELD: (f64, f64, f64, f64) = (64.0, 56.0, 540.0, 362.0);
/// Names closer to each other than this can't be read.
const APART: f64 = 18.0;
/// More points than this speak for themselves.
const DOTS: usize = 12;

impl Line {
    pub fn new(
        label: &'static str,
        class: String,
        points: impl Iterator<Item = (f64, f64)>,
    ) -> Self {
        Self {
            label,
            class,
            points: points.collect(),
        }
    }
}

impl Lines {
    pub fn draw(mut self) -> String {
        let points = self.lines.iter().flat_map(|it| &it.points);
        self.x = self.x.over(points.clone().map(|it| it.0));
        self.y = self.y.over(points.map(|it| it.1));
        let mut picture = Picture::new(SIZE.0, SIZE.1);
        self.draw_axes(&mut picture);
        let mut ends = Vec::new();
        for line in &self.lines {
            let places: Vec<_> = line.points.iter().map(|it| self.place(*it)).collect();
            picture.path(&line.class, &places, places.len() <= DOTS);
            let end = places.last().map_or(FIELD.3, |it| it.1);
            ends.push((end, line));
        }
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let heights: Vec<_> = ends.iter().map(|it| it.0).collect();
        for (height, (_, line)) in spread(&heights).iter().zip(&ends) {
            let at = (FIELD.2 + 12.0, height + 4.5);
            picture.text(&line.class, at, Anchor::Start, line.label);
        }
        picture.finish(self.title)
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let (left, top, right, bottom) = FIELD;
        let across = left + self.x.place(x) * (right - left);
        (across, bottom - self.y.place(y) * (bottom - top))
    }

    fn draw_axes(&self, picture: &mut Picture) {
        let (left, top, right, bottom) = FIELD;
        picture.text("title", (16.0, 26.0), Anchor::Start, self.title);
        picture.text("faint", (16.0, 46.0), Anchor::Start, self.y.label);
        for (number, text) in self.y.ticks() {
            let y = bottom - self.y.place(number) * (bottom - top);
            picture.line("grid", (left, y), (right, y));
            picture.text("faint", (left - 8.0, y + 4.5), Anchor::End, &text);
        }
        for (number, text) in self.x.ticks() {
            let x = left + self.x.place(number) * (right - left);
            picture.line("axis", (x, bottom), (x, bottom + 5.0));
            picture.text("faint", (x, bottom + 20.0), Anchor::Middle, &text);
        }
        picture.line("axis", (left, bottom), (right, bottom));
        let middle = (left + right) / 2.0;
        let below = (middle, bottom + 44.0);
        picture.text("faint", below, Anchor::Middle, self.x.label);
    }
}

/// Heights from the top, moved as little as it takes to be apart.
fn spread(heights: &[f64]) -> Vec<f64> {
    let mut moved = heights.to_vec();
    for _ in 0..100 {
        for at in 1..moved.len() {
            let short = APART - (moved[at] - moved[at - 1]);
            if short > 0.0 {
                moved[at - 1] -= short / 2.0;
                moved[at] += short / 2.0;
            }
        }
    }
    moved
}
