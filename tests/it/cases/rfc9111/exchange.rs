//! Exchanges told in a line each: what a client asks, what the origin would say, what is expected.

use crate::{
    client::{Answer, Request},
    gate::Gate,
    origin::{Origin, Ranges, Script, Seen, Tag},
};
use std::time::{Duration, SystemTime};
use tidegate::server::Settings;

/// Exchanges about one object, in order.
pub struct Case {
    name: &'static str,
    steps: Vec<Step>,
}

/// One exchange.
#[derive(Clone)]
pub struct Step {
    request: Request,
    /// What the origin says from now on; as before where absent.
    script: Option<Script>,
    expected: Vec<Expected>,
}

#[derive(Clone, Debug)]
enum Expected {
    /// The origin is asked.
    Asked,
    /// It is asked so many times.
    Times(usize),
    /// It is not.
    Stored,
    /// It is asked with this field.
    Sent(&'static str, String),
    /// It is asked without this field.
    NotSent(&'static str),
    Status(u16),
    /// The answer has this field, and all its lines joined are this.
    Has(&'static str, String),
    /// Some line of the field holds this text.
    Contains(&'static str, &'static str),
    /// The field is a number from here to there.
    Within(&'static str, u64, u64),
    Lacks(&'static str),
    /// The body is of this version of the object.
    Version(u64),
}

/// Fields as they are written in cases.
pub type Fields<'a> = &'a [(&'static str, &'a str)];

pub fn case(name: &'static str, steps: impl Into<Vec<Step>>) -> Case {
    let steps = steps.into();
    Case { name, steps }
}

pub fn get() -> Step {
    with("GET")
}

/// Asks with any method.
pub fn with(method: &str) -> Step {
    Step {
        request: Request::new(method, "film"),
        script: None,
        expected: Vec::new(),
    }
}

impl Step {
    /// Asks for another object of the case.
    pub fn at(mut self, place: &str) -> Self {
        self.request.target = place.into();
        self
    }

    /// Sends a field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sends a body.
    pub fn body(mut self, body: &str) -> Self {
        self.request.body = body.into();
        self
    }

    /// From now on the origin answers 200 with these fields, and without validators.
    pub fn says(mut self, fields: Fields) -> Self {
        let headers = fields.iter().map(|&(name, value)| (name, value.to_owned()));
        self.script = Some(Script {
            etag: Tag::None,
            last_modified: false,
            cache_control: None,
            ranges: Ranges::Ignored,
            headers: headers.collect(),
            ..Script::new(1, SIZE)
        });
        self
    }

    /// The same with `Cache-Control`.
    pub fn controls(self, value: &str) -> Self {
        self.says(&[("Cache-Control", value)])
    }

    /// The origin has entity tags.
    pub fn tagged(self) -> Self {
        self.script(|script| script.etag = Tag::Strong)
    }

    /// The origin has weak entity tags.
    pub fn weak(self) -> Self {
        self.script(|script| script.etag = Tag::Weak)
    }

    /// The origin has modification dates, of some years ago.
    pub fn dated(self) -> Self {
        self.script(|script| script.last_modified = true)
    }

    /// The origin's status.
    pub fn answers(self, status: u16) -> Self {
        self.script(|script| script.status = status)
    }

    /// The origin's version of the object; 1 where nothing is said.
    pub fn of(self, version: u64) -> Self {
        self.script(|script| script.content.version = version)
    }

    /// How old the origin's answer is when it comes, in seconds.
    pub fn aged(self, seconds: u64) -> Self {
        self.script(|script| script.headers.push(("Age", seconds.to_string())))
    }

    /// Anything else of the origin's answer.
    pub fn script(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(self.script.as_mut().expect("what it says comes first"));
        self
    }

    pub fn asks(self) -> Self {
        self.expects(Expected::Asked)
    }

    /// The origin is asked, and no more than once.
    pub fn once(self) -> Self {
        self.expects(Expected::Times(1))
    }

    pub fn hits(self) -> Self {
        self.expects(Expected::Stored)
    }

    pub fn sends(self, name: &'static str, value: &str) -> Self {
        self.expects(Expected::Sent(name, value.into()))
    }

    pub fn sends_no(self, name: &'static str) -> Self {
        self.expects(Expected::NotSent(name))
    }

    /// Asks whether the object is still of this tag.
    pub fn validates(self, tag: &str) -> Self {
        self.sends("If-None-Match", tag)
    }

    pub fn status(self, status: u16) -> Self {
        self.expects(Expected::Status(status))
    }

    pub fn has(self, name: &'static str, value: &str) -> Self {
        self.expects(Expected::Has(name, value.into()))
    }

    pub fn contains(self, name: &'static str, text: &'static str) -> Self {
        self.expects(Expected::Contains(name, text))
    }

    pub fn within(self, name: &'static str, least: u64, most: u64) -> Self {
        self.expects(Expected::Within(name, least, most))
    }

    pub fn lacks(self, name: &'static str) -> Self {
        self.expects(Expected::Lacks(name))
    }

    pub fn gives(self, version: u64) -> Self {
        self.expects(Expected::Version(version))
    }

    fn expects(mut self, expected: Expected) -> Self {
        self.expected.push(expected);
        self
    }
}

/// Plays all cases and fails with everything that was not as expected.
pub async fn play(cases: impl IntoIterator<Item = Case>) {
    play_with(|_| (), cases).await;
}

/// The same with settings of its own.
pub async fn play_with(change: impl FnOnce(&mut Settings), cases: impl IntoIterator<Item = Case>) {
    let origin = Origin::start().await;
    let gate = Gate::with(&origin, change).await;
    let mut wrong = Vec::new();
    for (nth, case) in cases.into_iter().enumerate() {
        for (at, step) in case.steps.iter().enumerate() {
            let found = exchange(&origin, &gate, &format!("/{nth}/"), step).await;
            let place = format!("{}, step {}", case.name, at + 1);
            wrong.extend(found.map(|found| format!("{place}: {found}")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn exchange(origin: &Origin, gate: &Gate, folder: &str, step: &Step) -> Option<String> {
    let target = match step.request.target.starts_with("http") {
        true => step.request.target.clone(),
        false => format!("{folder}{}", step.request.target),
    };
    if let Some(script) = &step.script {
        origin.put(&target, script.clone());
    }
    let before = origin.log().len();
    let request = Request {
        target,
        ..step.request.clone()
    };
    let answer = match gate.client().await.try_ask(&request).await {
        Ok(answer) => answer,
        Err(cut) => return Some(format!("no answer: {cut:?}")),
    };
    let log = origin.settled().await;
    let asked = &log[before..];
    let unmet = step
        .expected
        .iter()
        .filter(|one| !one.is_met(&answer, asked));
    let unmet: Vec<_> = unmet.map(|one| format!("{one:?}")).collect();
    (!unmet.is_empty()).then(|| format!("not {}:\n{answer}  {asked:?}", unmet.join(", ")))
}

impl Expected {
    fn is_met(&self, answer: &Answer, asked: &[Seen]) -> bool {
        let field = |name: &str| answer.head.all(name).collect::<Vec<_>>();
        match self {
            Self::Asked => !asked.is_empty(),
            Self::Times(times) => asked.len() == *times,
            Self::Stored => asked.is_empty(),
            Self::Sent(name, value) => asked.iter().any(|s| s.header(name) == Some(value)),
            Self::NotSent(name) => {
                !asked.is_empty() && asked.iter().all(|s| s.header(name).is_none())
            }
            Self::Status(status) => answer.status() == *status,
            Self::Has(name, value) => !field(name).is_empty() && field(name).join(", ") == *value,
            Self::Contains(name, text) => field(name).iter().any(|line| line.contains(text)),
            Self::Within(name, least, most) => {
                let number = answer.head.header(name).and_then(|text| text.parse().ok());
                number.is_some_and(|number| (*least..=*most).contains(&number))
            }
            Self::Lacks(name) => field(name).is_empty(),
            Self::Version(version) => {
                let mut content = Script::new(1, SIZE).content;
                content.version = *version;
                answer.body.len() as u64 == SIZE && content.verify(0, &answer.body).is_ok()
            }
        }
    }
}

/// The date so many seconds from now.
pub fn date(from_now: i64) -> String {
    let distance = Duration::from_secs(from_now.unsigned_abs());
    let now = SystemTime::now();
    httpdate::fmt_http_date(match from_now < 0 {
        true => now - distance,
        false => now + distance,
    })
}

const SIZE: u64 = 1000;
