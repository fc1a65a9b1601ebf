//! What of a query tells objects apart, and what of it the origin is asked with.
//!
//! Parameters are told by their names, percent-decoded and in the case in which they stand; a plus
//! sign is itself. What tells no objects apart is not sent either, or one client could have the
//! origin answer to what the others have not asked. Signatures are the exception: they say who may
//! ask, so each client's goes with its own request.

use super::{signatures::Signatures, tracking::is_tracking};
use percent_encoding::percent_decode;
use std::borrow::Cow;

/// The parameters of queries that are of use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRules {
    /// Which of them, at first.
    pub chosen: Chosen,
    /// Further ones that are left out.
    pub ignored: Vec<String>,
    /// Whether those are left out that advertisements and newsletters add to links.
    pub ignores_tracking: bool,
    /// Whether the parameters of presigned URLs are left out of the key: those of AWS, Google
    /// Cloud, Azure and CloudFront.
    pub ignores_signatures: bool,
    /// Whether the order of parameters of different names makes no difference.
    pub sorted: bool,
}

/// Which parameters tell objects apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// All of them.
    #[default]
    All,
    /// None.
    None,
    /// Those of these names.
    Only(Vec<String>),
}

/// A query of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// What tells objects apart.
    pub keyed: Option<String>,
    /// What the origin is asked with.
    pub sent: Option<String>,
    /// Whether a signature is sent that tells no objects apart.
    pub is_signed: bool,
}

/// One parameter of a query, as it stands and with its name decoded.
struct Parameter<'q> {
    text: &'q str,
    name: Cow<'q, [u8]>,
}

impl QueryRules {
    /// What becomes of a query in its normal spelling.
    pub fn select(&self, query: Option<&str>) -> Selected {
        let Some(query) = query else {
            return Selected::default();
        };
        if *self == Self::default() {
            return Selected {
                keyed: Some(query.to_owned()),
                sent: Some(query.to_owned()),
                is_signed: false,
            };
        }
        let mut all: Vec<Parameter> = parameters(query).collect();
        let signatures = match self.ignores_signatures {
            true => Signatures::among(&all.iter().map(|p| &p.name[..]).collect::<Vec<_>>()),
            false => Signatures::default(),
        };
        if self.sorted {
            all.retain(|parameter| !parameter.text.is_empty());
            // Those of one name keep their order, which may mean something.
            all.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let (mut keyed, mut sent, mut is_signed) = (Vec::new(), Vec::new(), false);
        for parameter in &all {
            if signatures.have(&parameter.name) {
                is_signed = true;
                sent.push(parameter.text);
            } else if self.keeps(&parameter.name) {
                keyed.push(parameter.text);
                sent.push(parameter.text);
            }
        }
        Selected {
            keyed: joined(&keyed),
            sent: joined(&sent),
            is_signed,
        }
    }

    fn keeps(&self, name: &[u8]) -> bool {
        let is_chosen = match &self.chosen {
            Chosen::All => true,
            Chosen::None => false,
            Chosen::Only(names) => has(names, name),
        };
        is_chosen && !has(&self.ignored, name) && !(self.ignores_tracking && is_tracking(name))
    }
}

/// The parameters of a query with their names decoded.
fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    query.split('&').map(|text| Parameter {
        text,
        name: decoded(name_and_value(text).0),
    })
}

/// A parameter taken apart; one without `=` has an empty value.
pub fn name_and_value(parameter: &str) -> (&str, &str) {
    parameter.split_once('=').unwrap_or((parameter, ""))
}

/// The bytes that a text of a query stands for.
pub fn decoded(text: &str) -> Cow<'_, [u8]> {
    percent_decode(text.as_bytes()).into()
}

fn joined(parameters: &[&str]) -> Option<String> {
    (!parameters.is_empty()).then(|| parameters.join("&"))
}

fn has(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| name.to_string()).collect()
    }

    /// Key and request of a query, `-` for none.
    fn selected(rules: &QueryRules, query: &str) -> (String, String) {
        let selected = rules.select(Some(query));
        let shown = |query: Option<String>| query.unwrap_or("-".into());
        (shown(selected.keyed), shown(selected.sent))
    }

    #[test]
    fn parameters_are_chosen_by_name() {
        let none = QueryRules {
            chosen: Chosen::None,
            ..QueryRules::default()
        };
        let only = QueryRules {
            chosen: Chosen::Only(names(&["a[]", "v"])),
            ..QueryRules::default()
        };
        let but = QueryRules {
            ignored: names(&["x", "a[]"]),
            ignores_tracking: true,
            ..QueryRules::default()
        };
        let table = [
            (&none, "a=1&b", "-"),
            (&only, "v=1&w=2&a%5B%5D=3&a[]=4&V=5", "v=1&a%5B%5D=3&a[]=4"),
            (&only, "w=2", "-"),
            (&but, "x&b=1&x=2&a%5B%5D=3&X=4", "b=1&X=4"),
            (&but, "utm_source=m&b=1&gclid=2&utm=3", "b=1&utm=3"),
            (&but, "", ""),
            (&but, "b&&c", "b&&c"),
            (
                &QueryRules::default(),
                "b&&utm_source=x&",
                "b&&utm_source=x&",
            ),
        ];
        for (rules, query, kept) in table {
            let expected = (kept.to_owned(), kept.to_owned());
            assert_eq!(selected(rules, query), expected, "{query}");
        }
        assert_eq!(none.select(None), Selected::default());
    }

    #[test]
    fn the_order_of_names_can_be_made_one() {
        let rules = QueryRules {
            sorted: true,
            ..QueryRules::default()
        };
        let sorted = "a=2&a=1&b&c=3".to_owned();
        for query in ["a=2&a=1&b&c=3", "c=3&&b&a=2&a=1&", "a=2&c=3&b&a=1"] {
            assert_eq!(selected(&rules, query), (sorted.clone(), sorted.clone()));
        }
        assert_ne!(selected(&rules, "a=1&a=2&b&c=3").0, sorted);
    }

    #[test]
    fn signatures_are_sent_and_tell_nothing_apart() {
        let rules = |chosen| QueryRules {
            chosen,
            ignores_signatures: true,
            ignored: names(&["x"]),
            ..QueryRules::default()
        };
        let table = [
            (Chosen::All, "b=1&x=2", "b=1", "b=1"),
            (
                Chosen::All,
                "X-Amz-Date=1&b=2&x=5&x-amz-signature=3",
                "b=2",
                "X-Amz-Date=1&b=2&x-amz-signature=3",
            ),
            (
                Chosen::All,
                "Expires=1&Signature=2&Key-Pair-Id=3",
                "-",
                "Expires=1&Signature=2&Key-Pair-Id=3",
            ),
            (
                Chosen::All,
                "Expires=1&Signature=2",
                "Expires=1&Signature=2",
                "Expires=1&Signature=2",
            ),
            (Chosen::All, "sv=1&se=2", "sv=1&se=2", "sv=1&se=2"),
            (Chosen::None, "sv=1&se=2&c=4&sig=3", "-", "sv=1&se=2&sig=3"),
        ];
        for (chosen, query, keyed, sent) in table {
            let found = selected(&rules(chosen), query);
            assert_eq!(found, (keyed.to_owned(), sent.to_owned()), "{query}");
        }
    }

    fn any_rules() -> impl Strategy<Value = QueryRules> {
        let some = || prop::collection::vec("[a-d]", 0..3);
        let chosen = prop_oneof![
            Just(Chosen::All),
            Just(Chosen::None),
            some().prop_map(Chosen::Only)
        ];
        (chosen, some(), any::<[bool; 3]>()).prop_map(|(chosen, ignored, [t, s, o])| QueryRules {
            chosen,
            ignored,
            ignores_tracking: t,
            ignores_signatures: s,
            sorted: o,
        })
    }

    proptest! {
        #[test]
        fn what_is_sent_is_selected_as_it_stands(
            rules in any_rules(), query in "([a-e%6=]{0,3}&|sig=1&|se=2&|utm_a=1&){0,8}",
        ) {
            let once = rules.select(Some(&query));
            let again = rules.select(once.sent.as_deref());
            prop_assert_eq!(again, once);
        }

        #[test]
        fn what_is_left_out_makes_no_difference_and_is_not_sent(
            query in "([a-c]=[a-z]?){1,4}", noise in "[a-z<>]{0,6}", at in 0..3usize,
        ) {
            let rules = QueryRules {
                ignored: names(&["x"]), ignores_tracking: true, ..QueryRules::default()
            };
            let clean = rules.select(Some(&query));
            let name = ["x", "%78", "utm_%73ource"][at];
            for dirty in [format!("{query}&{name}={noise}"), format!("{name}={noise}&{query}")] {
                prop_assert_eq!(&rules.select(Some(&dirty)), &clean);
            }
        }
    }
}
