//! All that the admin address answers.

use super::{Drained, Draining, FillsPage, History, ObjectsPage, ObjectsView, OriginsView, Status};
use crate::admin::{Explanation, Inspection, Order, Outcome};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// What can be asked for on the admin address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The status page.
    Page,
    /// How the process is doing.
    Status,
    /// The last minutes.
    History,
    /// What is stored.
    Objects,
    /// One object with its chunks.
    Object,
    /// The origins.
    Origins,
    /// What is being brought in.
    Fills,
    /// The configuration in force.
    Config,
    /// The description of all this.
    OpenApi,
    /// Load balancers are sent elsewhere.
    Drain,
    /// Objects are taken out.
    Purge,
    /// What is stored under a URL.
    Inspect,
    /// What a URL gets.
    Explain,
    /// Metrics for Prometheus.
    Metrics,
    /// Whether the process lives.
    Healthz,
    /// Whether it wants clients.
    Readyz,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anybody who reaches the admin address.
    Anybody,
    /// This machine over loopback, or who bears the token.
    Reader,
    /// Who bears the token; without one, this machine over loopback.
    Changer,
}

/// What an answer's body is.
#[derive(Clone, Copy)]
pub enum Body {
    /// JSON of this form.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Something for programs or people of other kinds, by its content type.
    Other(&'static str),
}

/// A parameter in the query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub form: Form,
    /// Whether it has to be there.
    pub is_required: bool,
    /// What it says.
    pub description: &'static str,
}

/// What the value of a parameter is.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// How many lines are wanted.
    Lines,
    /// What comes first.
    Sort,
}

impl Parameter {
    const fn new(name: &'static str, form: Form, description: &'static str) -> Self {
        Self {
            name,
            form,
            is_required: false,
            description,
        }
    }
}

const URL: Parameter = Parameter {
    is_required: true,
    ..Parameter::new(
        "url",
        Form::Text,
        "The URL, as clients ask for it, percent-encoded.",
    )
};
const OBJECT_URL: Parameter = Parameter::new(
    "url",
    Form::Text,
    "A URL, as clients ask for it, percent-encoded: all its variants, up to 16. Either this or id.",
);

const ID: Parameter = Parameter::new(
    "id",
    Form::Text,
    "Instead of the URL: the object's name in the store, 32 hexadecimal digits.",
);
const AFTER_SAMPLE: Parameter = Parameter::new(
    "after",
    Form::Number,
    "Only samples behind that of this number.",
);
const SEARCH: Parameter = Parameter::new(
    "search",
    Form::Text,
    "What host, path or query contain, whatever the case of ASCII letters.",
);
const SORT: Parameter = Parameter::new(
    "sort",
    Form::Sort,
    "What comes first: name, bytes (most on disk), hits (most), age (stored longest ago), recent (found last).",
);
const LIMIT: Parameter = Parameter::new("limit", Form::Lines, "Lines of a page.");
const AFTER_PAGE: Parameter =
    Parameter::new("after", Form::Text, "What the page before said as next.");

const BAD: (u16, &str) = (400, "What was asked is not understood.");
const NO_TOKEN: (u16, &str) = (401, "The token is missing or another.");
const REMOTE: (u16, &str) = (
    403,
    "There is no token, and who asks is not this machine; or a page of somebody else's asks.",
);
const METHOD: (u16, &str) = (405, "It has other methods, which Allow names.");
const LATE: (u16, &str) = (408, "The body did not come in time.");
const LARGE: (u16, &str) = (413, "The body is larger than 64 KiB.");
const FORM: (u16, &str) = (415, "The body is not sent as application/json.");
const BUSY: (u16, &str) = (
    503,
    "Others are served first, or the process stops; try again.",
);
const STARTING: (u16, &str) = (
    503,
    "The configuration is still being taken over; try again.",
);

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Page,
        Self::Status,
        Self::History,
        Self::Objects,
        Self::Object,
        Self::Origins,
        Self::Fills,
        Self::Config,
        Self::OpenApi,
        Self::Drain,
        Self::Purge,
        Self::Inspect,
        Self::Explain,
        Self::Metrics,
        Self::Healthz,
        Self::Readyz,
    ];

    /// What lies at a path.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.path() == path)
    }

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Page => "/",
            Self::Status => "/api/status",
            Self::History => "/api/history",
            Self::Objects => "/api/objects",
            Self::Object => "/api/object",
            Self::Origins => "/api/origins",
            Self::Fills => "/api/fills",
            Self::Config => "/api/config",
            Self::OpenApi => "/api/openapi.json",
            Self::Drain => "/api/drain",
            Self::Purge => "/purge",
            Self::Inspect => "/inspect",
            Self::Explain => "/explain",
            Self::Metrics => "/metrics",
            Self::Healthz => "/healthz",
            Self::Readyz => "/readyz",
        }
    }

    /// Whether requests have a method that it knows.
    pub fn takes(self, method: &Method) -> bool {
        match self.who() {
            Who::Changer => method == Method::POST,
            Who::Anybody | Who::Reader => matches!(*method, Method::GET | Method::HEAD),
        }
    }

    /// Who may ask.
    pub fn who(self) -> Who {
        match self {
            Self::Drain | Self::Purge => Who::Changer,
            // The page itself says nothing of this process.
            Self::Page | Self::Metrics | Self::Healthz | Self::Readyz => Who::Anybody,
            _ => Who::Reader,
        }
    }

    /// What it is for, in a line.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Page => "The status page",
            Self::Status => "How the process is doing: what is in use, what happened lately",
            Self::History => "The last five minutes, in samples of two seconds",
            Self::Objects => "What is stored, a page at a time",
            Self::Object => "One object: what it is, which chunks are there, who reads it",
            Self::Origins => "The origins in force, their health, breakers and queues",
            Self::Fills => "What is being brought in from origins",
            Self::Config => "The configuration in force, with all defaults and without secrets",
            Self::OpenApi => "This description",
            Self::Drain => "Send load balancers elsewhere, or call them back",
            Self::Purge => "Take objects out of the cache, or make them stale",
            Self::Inspect => "What is stored under a URL, in all its variants",
            Self::Explain => {
                "Which route takes a URL, its cache key, and whether it would be a hit"
            }
            Self::Metrics => "All metrics, in Prometheus' text format",
            Self::Healthz => "Whether the process lives",
            Self::Readyz => "Whether the process wants clients; 503 while it drains",
        }
    }

    /// The parameters that it knows.
    pub fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::History => &[AFTER_SAMPLE],
            Self::Objects => &[SEARCH, SORT, LIMIT, AFTER_PAGE],
            Self::Object => &[OBJECT_URL, ID],
            Self::Fills => &[LIMIT],
            Self::Inspect | Self::Explain => &[URL],
            _ => &[],
        }
    }

    /// What it may answer beside 200, and when.
    pub fn refusals(self) -> Vec<(u16, &'static str)> {
        let asked: &[_] = match self.who() {
            Who::Anybody => &[],
            Who::Reader => &[BAD, NO_TOKEN, REMOTE],
            Who::Changer => &[BAD, NO_TOKEN, REMOTE, LATE, LARGE, FORM],
        };
        let own: &[_] = match self {
            Self::Explain => &[(404, "No route takes the URL."), STARTING],
            Self::Config => &[STARTING],
            Self::Drain => &[(503, "Another process is taking over, or has.")],
            Self::Readyz => &[(503, "The process drains.")],
            Self::Objects | Self::Object | Self::Purge | Self::Inspect => &[BUSY],
            _ => &[],
        };
        [asked, own, &[METHOD]].concat()
    }

    /// The form of a request's body, if it has one.
    pub fn asks(self) -> Option<fn(&mut SchemaGenerator) -> Schema> {
        match self {
            Self::Drain => Some(SchemaGenerator::subschema_for::<Draining>),
            Self::Purge => Some(SchemaGenerator::subschema_for::<Order>),
            _ => None,
        }
    }

    /// The form of its answer.
    pub fn answers(self) -> Body {
        fn json<T: JsonSchema>() -> Body {
            Body::Json(SchemaGenerator::subschema_for::<T>)
        }
        match self {
            Self::Page => Body::Other("text/html"),
            Self::Status => json::<Status>(),
            Self::History => json::<History>(),
            Self::Objects => json::<ObjectsPage>(),
            Self::Object => json::<ObjectsView>(),
            Self::Origins => json::<OriginsView>(),
            Self::Fills => json::<FillsPage>(),
            Self::Config | Self::OpenApi => json::<serde_json::Map<String, serde_json::Value>>(),
            Self::Drain => json::<Drained>(),
            Self::Purge => json::<Outcome>(),
            Self::Inspect => json::<Inspection>(),
            Self::Explain => json::<Explanation>(),
            Self::Metrics | Self::Healthz | Self::Readyz => Body::Other("text/plain"),
        }
    }
}
