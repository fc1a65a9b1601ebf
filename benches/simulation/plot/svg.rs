//! A picture of lines, boxes and words, readable on light and on dark pages.

use std::fmt::Write;

/// What is drawn, in pixels from the upper left corner.
pub struct Picture {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text stands to its place.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// Colours for both kinds of pages, far enough apart for all eyes; `.c0` to `.c5` are of what is
/// compared, `.p0` to `.p4` of the parts of a bar.
const STYLE: &str = "
svg { --page: #ffffff; --ink: #1f2328; --faint: #59636e; --grid: #d8dee4;
  --c0: #6e7781; --c1: #c4650a; --c2: #0969da; --c3: #1a7f37; --c4: #8250df; --c5: #bf3989;
  --p0: #0969da; --p1: #8250df; --p2: #1a7f37; --p3: #c4650a; --p4: #f0b37e; }
@media (prefers-color-scheme: dark) { svg { --page: #0d1117; --ink: #e6edf3; --faint: #9198a1;
  --grid: #30363d; --c0: #9198a1; --c1: #f0883e; --c2: #58a6ff; --c3: #3fb950; --c4: #b78aff;
  --c5: #f778ba; --p0: #388bfd; --p1: #a371f7; --p2: #2ea043; --p3: #f0883e; --p4: #7a4a22; } }
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.title { font-size: 16px; font-weight: 600; }
.faint { fill: var(--faint); }
.on { fill: #ffffff; }
.page { fill: var(--page); }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis { stroke: var(--faint); stroke-width: 1; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 6 5; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
text.c0, .dot.c0 { fill: var(--c0); stroke: none; } text.c1, .dot.c1 { fill: var(--c1); stroke: none; }
text.c2, .dot.c2 { fill: var(--c2); stroke: none; } text.c3, .dot.c3 { fill: var(--c3); stroke: none; }
text.c4, .dot.c4 { fill: var(--c4); stroke: none; } text.c5, .dot.c5 { fill: var(--c5); stroke: none; }
.p0 { fill: var(--p0); } .p1 { fill: var(--p1); } .p2 { fill: var(--p2); } .p3 { fill: var(--p3); }
.p4 { fill: var(--p4); }
";

impl Picture {
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// A line through all points, with a dot at each of them if so wanted.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)], dots: bool) {
        let mut through = String::new();
        for (x, y) in points {
            let _ = write!(through, "{x:.1},{y:.1} ");
        }
        let through = through.trim_end();
        self.put(format_args!(
            r#"<polyline class="line {class}" points="{through}"/>"#
        ));
        for (x, y) in points.iter().filter(|_| dots) {
            self.put(format_args!(
                r#"<circle class="dot {class}" cx="{x:.1}" cy="{y:.1}" r="3.2"/>"#
            ));
        }
    }

    pub fn rectangle(&mut self, class: &str, at: (f64, f64), size: (f64, f64)) {
        let ((x, y), (width, height)) = (at, size);
        self.put(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let (x, y) = at;
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.put(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// The whole file, with a title for those who don't see it.
    pub fn finish(self, title: &str) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
             <style>{STYLE}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
             {body}</svg>\n"
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.body, "{element}");
    }
}
