//! A figure of bars, each made of parts.

use super::{
    axis::Axis,
    svg::{Anchor, Picture},
};

/// Everything in such a figure.
pub struct Bars {
    pub title: String,
    /// In percent, while parts are shares.
    pub x: Axis,
    /// What the parts are.
    pub parts: [&'static str; 5],
    pub bars: Vec<Bar>,
}

/// One of them.
pub struct Bar {
    pub label: &'static str,
    /// Shares, in the order of the parts.
    pub parts: Vec<f64>,
}

const WIDTH: f64 = 780.0;
/// Where the bars begin and may end. To the left of it are their names.
const FIELD: (f64, f64) = (190.0, 750.0);
const TOP: f64 = 72.0;
const STEP: f64 = 34.0;
const HEIGHT: f64 = 22.0;
/// A part that is shorter has no room for its number.
const ROOM: f64 = 30.0;

impl Bars {
    pub fn draw(self) -> String {
        let sums = self.bars.iter().map(|it| it.parts.iter().sum::<f64>());
        let x = self.x.clone().over(sums.map(|it| it * 100.0));
        let bottom = TOP + STEP * self.bars.len() as f64;
        let across = |share: f64| x.place(share * 100.0) * (FIELD.1 - FIELD.0);
        let mut picture = Picture::new(WIDTH, bottom + 58.0);
        picture.text("title", (16.0, 26.0), Anchor::Start, &self.title);
        self.draw_legend(&mut picture);
        for (number, text) in x.ticks() {
            let at = FIELD.0 + across(number / 100.0);
            picture.line("grid", (at, TOP - 4.0), (at, bottom));
            picture.text("faint", (at, bottom + 18.0), Anchor::Middle, &text);
        }
        let middle = (FIELD.0 + FIELD.1) / 2.0;
        picture.text("faint", (middle, bottom + 42.0), Anchor::Middle, x.label);
        for (row, bar) in self.bars.iter().enumerate() {
            let y = TOP + STEP * row as f64 + (STEP - HEIGHT) / 2.0;
            let beside = (FIELD.0 - 10.0, y + 15.5);
            picture.text("ink", beside, Anchor::End, bar.label);
            let mut left = FIELD.0;
            for (part, share) in bar.parts.iter().enumerate() {
                let width = across(*share);
                picture.rectangle(&format!("p{part}"), (left, y), (width, HEIGHT));
                if width > ROOM {
                    let within = (left + width / 2.0, y + 15.5);
                    let number = format!("{:.0}", share * 100.0);
                    picture.text("on", within, Anchor::Middle, &number);
                }
                left += width;
            }
        }
        picture.finish(&self.title)
    }

    fn draw_legend(&self, picture: &mut Picture) {
        let mut left = 16.0;
        for (part, name) in self.parts.iter().enumerate() {
            picture.rectangle(&format!("p{part}"), (left, 42.0), (12.0, 12.0));
            picture.text("faint", (left + 18.0, 52.5), Anchor::Start, name);
            left += 42.0 + name.chars().count() as f64 * 7.0;
        }
    }
}
