//! Derivatives of a video: the parameters that make them, and the one form of each derivative.
//!
//! A parameter is known by its name or an alias, its value in many writings. What comes out has
//! each parameter once, under its name, in one writing, in the order of the names; it makes the
//! key and it is what the origin is asked for. A parameter with a default is always there.

mod time;
mod value;

pub use value::{Kind, Scale, Steps, Words, is_word};

use super::query::{decoded, name_and_value};
use std::fmt;

/// The parameters by which a route's objects have derivatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variants {
    /// The parameters, in the order of their names.
    pub parameters: Vec<Parameter>,
    /// Derivatives with a name.
    pub derivatives: Option<Derivatives>,
    /// What becomes of a value that is none.
    pub on_bad: OnBad,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, and how the origin is asked for it.
    pub name: String,
    /// Other names that clients give it.
    pub aliases: Vec<String>,
    /// Which values it takes.
    pub kind: Kind,
    /// Its value where a request has none, in the one form.
    pub default: Option<String>,
}

/// Names that stand for several parameters at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivatives {
    /// The parameter whose values they are.
    pub parameter: String,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// What each stands for: parameters with their values in the one form.
    pub named: Vec<(String, Vec<(String, String)>)>,
}

/// What becomes of a value that is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBad {
    /// The request is refused.
    #[default]
    Refuse,
    /// The parameter counts as not given.
    Drop,
}

/// A value that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// The parameter.
    pub parameter: String,
    /// What is wrong with it.
    pub why: String,
}

/// A query taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derivative<'q> {
    /// The parameters that make the derivative, by name, each in its one form.
    pub values: Vec<(String, String)>,
    /// The query's other parameters, as they were.
    pub rest: Vec<&'q str>,
    /// What counts as not given.
    pub dropped: Vec<BadValue>,
}

/// What a query says of one parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Said {
    #[default]
    Nothing,
    Once(String),
    /// Several different things.
    Unclear,
}

impl Variants {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Whether a parameter of this name is one of them.
    pub fn have(&self, name: &str) -> bool {
        self.parameters
            .iter()
            .any(|parameter| parameter.name == name)
    }

    /// Whether a query's parameter of this name is theirs, by any of their names.
    pub fn take(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let named = self.derivatives.as_ref();
        self.find(name).is_some() || named.is_some_and(|all| all.are_named_by(name))
    }

    /// The derivative that a query in its normal spelling asks for.
    pub fn derivative<'q>(&self, query: Option<&'q str>) -> Result<Derivative<'q>, BadValue> {
        self.read(query, self.on_bad)
    }

    /// The same, with values that are none left out whatever the setting.
    pub fn lenient<'q>(&self, query: Option<&'q str>) -> Derivative<'q> {
        self.read(query, OnBad::Drop).unwrap_or_default()
    }

    fn read<'q>(&self, query: Option<&'q str>, on_bad: OnBad) -> Result<Derivative<'q>, BadValue> {
        let mut derivative = Derivative::default();
        let mut said = vec![Said::Nothing; self.parameters.len()];
        let mut named = Said::Nothing;
        for text in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = name_and_value(text);
            let (name, value) = (decoded(name), decoded(value));
            let value = std::str::from_utf8(&value).unwrap_or_default();
            let (slot, read) = match self.find(&name) {
                Some(at) => (&mut said[at], self.parameters[at].read(value)),
                None => match self
                    .derivatives
                    .as_ref()
                    .filter(|all| all.are_named_by(&name))
                {
                    Some(all) => (&mut named, all.read(value)),
                    None => {
                        derivative.rest.push(text);
                        continue;
                    }
                },
            };
            if let Err(bad) = read.and_then(|value| slot.take(value, &name)) {
                match on_bad {
                    OnBad::Refuse => return Err(bad),
                    OnBad::Drop => derivative.dropped.push(bad),
                }
            }
        }
        derivative.values = self.complete(said, named);
        Ok(derivative)
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.parameters
            .iter()
            .position(|parameter| is_one_of(name, &parameter.name, &parameter.aliases))
    }

    /// What was said, before what a named derivative stands for, before the defaults.
    fn complete(&self, said: Vec<Said>, named: Said) -> Vec<(String, String)> {
        let expanded = match (&named, &self.derivatives) {
            (Said::Once(name), Some(all)) => all.expand(name),
            _ => &[],
        };
        let value = |(parameter, said): (&Parameter, Said)| {
            let expanded = expanded.iter().find(|(name, _)| *name == parameter.name);
            let value = match said {
                Said::Once(value) => Some(value),
                Said::Nothing | Said::Unclear => expanded
                    .map(|(_, value)| value.clone())
                    .or_else(|| parameter.default.clone()),
            };
            value.map(|value| (parameter.name.clone(), value))
        };
        self.parameters.iter().zip(said).filter_map(value).collect()
    }
}

impl Parameter {
    fn read(&self, value: &str) -> Result<String, BadValue> {
        let bad = |expected| BadValue::new(&self.name, value, expected);
        self.kind.canonical(value).map_err(bad)
    }
}

impl Derivatives {
    fn are_named_by(&self, name: &[u8]) -> bool {
        is_one_of(name, &self.parameter, &self.aliases)
    }

    fn read(&self, value: &str) -> Result<String, BadValue> {
        match self.named.iter().any(|(name, _)| name == value) {
            true => Ok(value.to_owned()),
            false => {
                let names: Vec<_> = self.named.iter().map(|(name, _)| name.as_str()).collect();
                let expected = format!("one of {}", names.join(", "));
                Err(BadValue::new(&self.parameter, value, expected))
            }
        }
    }

    fn expand(&self, name: &str) -> &[(String, String)] {
        let found = self.named.iter().find(|(known, _)| known == name);
        found.map_or(&[], |(_, values)| values)
    }
}

impl Said {
    /// Takes a value down; the same again is no contradiction.
    fn take(&mut self, value: String, name: &[u8]) -> Result<(), BadValue> {
        match self {
            Self::Nothing => *self = Self::Once(value),
            Self::Once(known) if *known == value => {}
            Self::Once(_) | Self::Unclear => {
                *self = Self::Unclear;
                return Err(BadValue {
                    parameter: String::from_utf8_lossy(name).into_owned(),
                    why: "given more than once, with different values".into(),
                });
            }
        }
        Ok(())
    }
}

impl BadValue {
    fn new(parameter: &str, found: &str, expected: String) -> Self {
        let shown: String = found.chars().take(80).collect();
        Self {
            parameter: parameter.to_owned(),
            why: format!("expected {expected}, found {shown:?}"),
        }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.why)
    }
}

/// Parameters written as a query.
pub fn written(values: &[(String, String)]) -> impl Iterator<Item = String> {
    values.iter().map(|(name, value)| format!("{name}={value}"))
}

fn is_one_of(name: &[u8], own: &str, aliases: &[String]) -> bool {
    name == own.as_bytes() || aliases.iter().any(|alias| name == alias.as_bytes())
}

#[cfg(test)]
mod tests;
