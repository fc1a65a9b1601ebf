//! The section `variants` of a route: the parameters that make derivatives, and names for some.

use super::{
    credentials::parameter as query_parameter,
    node::{Entry, Value, quoted},
    scale::{Type, default, kind, written},
    section::{Section, hint},
    spot::Spot,
};
use crate::{
    domain::{Derivatives, OnBad, Parameter, Variants},
    proxy::Matcher,
};

/// Names that are in use, each with whose it is.
type Taken = Vec<(String, String)>;

/// The variants of a route whose paths the matcher takes.
pub(super) fn variants(at: &Spot, matcher: Option<&Matcher>) -> Option<Variants> {
    at.section(|keys| {
        let mut taken = Taken::new();
        let on_bad = keys.or("on_bad", OnBad::default(), on_bad);
        let parameters = keys.required("parameters", |at| parameters(at, matcher, &mut taken));
        let known = parameters.as_deref();
        let derivatives = keys.optional("derivative", |at| derivatives(at, known, &mut taken));
        let mut parameters = parameters?;
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        Some(Variants {
            parameters,
            derivatives,
            on_bad,
        })
    })
}

fn on_bad(at: &Spot) -> Option<OnBad> {
    match at.value() {
        Value::Integer(400) => Some(OnBad::Refuse),
        Value::Text(text) if text == "drop" => Some(OnBad::Drop),
        _ => at.expected("400 or drop"),
    }
}

fn parameters(at: &Spot, matcher: Option<&Matcher>, taken: &mut Taken) -> Option<Vec<Parameter>> {
    let entries = entries(at, "a mapping of at least one parameter by its name")?;
    let own = |entry: &Entry| (entry.key.clone(), entry.key.clone());
    taken.extend(entries.iter().map(own));
    let mut whole = true;
    let mut parameters = Vec::new();
    for entry in entries {
        let at = at.key(&entry.key, &entry.node);
        let named = is_name(&at, &entry.key, matcher);
        let read = at.section(|keys| parameter(keys, &entry.key, taken));
        whole &= named && read.is_some();
        parameters.extend(read);
    }
    whole.then_some(parameters)
}

/// Names stand in queries as they are, and in places of paths.
fn is_name(at: &Spot, name: &str, matcher: Option<&Matcher>) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        at.refuse::<()>("expected a name of at most 64 letters, digits, \"-\", \"_\" and \".\"");
        return false;
    }
    let is_group = match matcher {
        Some(Matcher::Pattern(pattern)) => {
            pattern.capture_names().flatten().any(|group| group == name)
        }
        _ => false,
    };
    if is_group {
        at.refuse::<()>("the route's pattern has a group of this name, and ${} would mean both");
    }
    !is_group
}

fn parameter(keys: &mut Section, name: &str, taken: &mut Taken) -> Option<Parameter> {
    let of = keys.required("type", Type::read);
    let aliases = keys.optional("aliases", |at| aliases(at, name, taken));
    let kind = kind(keys, of);
    let default = keys.optional("default", |at| default(at, kind.as_ref()?));
    Some(Parameter {
        name: name.to_owned(),
        aliases: aliases.unwrap_or_default(),
        kind: kind?,
        default,
    })
}

fn aliases(at: &Spot, of: &str, taken: &mut Taken) -> Option<Vec<String>> {
    let items = at.items("other name of the parameter")?;
    let names = items
        .iter()
        .map(|at| query_parameter(at).and_then(|name| free(at, name, of, taken)));
    // All of them are read before any is given up.
    let names: Vec<_> = names.collect();
    names.into_iter().collect()
}

/// A name that nobody else has.
fn free(at: &Spot, name: String, of: &str, taken: &mut Taken) -> Option<String> {
    match taken.iter().find(|(known, _)| *known == name) {
        Some((_, whose)) => at.refuse(format!("is a name of {whose} already")),
        None => {
            taken.push((name.clone(), of.to_owned()));
            Some(name)
        }
    }
}

fn derivatives(
    at: &Spot,
    parameters: Option<&[Parameter]>,
    taken: &mut Taken,
) -> Option<Derivatives> {
    at.section(|keys| {
        const DEFAULT: &str = "derivative";
        let own = |at: &Spot| query_parameter(at).and_then(|name| free(at, name, DEFAULT, taken));
        let parameter = match keys.has("parameter") {
            true => keys.optional("parameter", own),
            false => {
                let clash = taken.iter().find(|(known, _)| known == DEFAULT);
                if let Some((_, whose)) = clash {
                    let message = format!("is a name of {whose} already; give it another");
                    keys.refuse("parameter", message);
                }
                taken.push((DEFAULT.to_owned(), DEFAULT.to_owned()));
                keys.or("parameter", Some(DEFAULT.to_owned()), |_| None)
            }
        };
        let whose = parameter.clone().unwrap_or_else(|| DEFAULT.to_owned());
        let aliases = keys.optional("aliases", |at| aliases(at, &whose, taken));
        let named = keys.required("named", |at| named(at, parameters));
        Some(Derivatives {
            parameter: parameter?,
            aliases: aliases.unwrap_or_default(),
            named: named?,
        })
    })
}

type Named = (String, Vec<(String, String)>);

fn named(at: &Spot, parameters: Option<&[Parameter]>) -> Option<Vec<Named>> {
    let entries = entries(at, "a mapping of at least one derivative by its name")?;
    let named = entries.iter().map(|entry| {
        let at = at.key(&entry.key, &entry.node);
        if !crate::domain::is_word(&entry.key) {
            return at
                .refuse("expected a name of at most 64 letters, digits, \"-\", \"_\" and \".\"");
        }
        Some((entry.key.clone(), values(&at, parameters)?))
    });
    let named: Vec<_> = named.collect();
    named.into_iter().collect()
}

/// What a derivative stands for: a mapping of parameters to their values.
fn values(at: &Spot, parameters: Option<&[Parameter]>) -> Option<Vec<(String, String)>> {
    let entries = entries(at, "a mapping of at least one parameter to its value")?;
    let values = entries.iter().map(|entry| {
        let at = at.key(&entry.key, &entry.node);
        let parameters = parameters?;
        let is_it = |parameter: &&Parameter| parameter.name == entry.key;
        let Some(parameter) = parameters.iter().find(is_it) else {
            let hint = hint(&entry.key, parameters.iter().map(|p| p.name.as_str()));
            return at.refuse(format!(
                "there is no parameter {}{hint}",
                quoted(&entry.key)
            ));
        };
        Some((entry.key.clone(), written(&at, &parameter.kind)?))
    });
    let values: Vec<_> = values.collect();
    values.into_iter().collect()
}

fn entries<'a>(at: &Spot<'a>, expected: &str) -> Option<&'a [Entry]> {
    match at.value() {
        Value::Mapping(entries) if !entries.is_empty() => Some(entries),
        _ => at.expected(expected),
    }
}
