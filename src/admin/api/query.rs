//! The parameters of a request to the API.

use crate::store::{Cursor, ObjectId, Order, Query};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// The parameters, each given once and known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

/// Lines of a page where nothing is said.
pub(super) const LINES: usize = 50;
/// Lines of a page at most.
pub(super) const MOST_LINES: u64 = 500;
/// What may come first; the first if nothing is said.
pub(super) const SORTS: [(&str, Order); 5] = [
    ("name", Order::Name),
    ("bytes", Order::Bytes),
    ("hits", Order::Hits),
    ("age", Order::Age),
    ("recent", Order::Recent),
];

impl Parameters {
    /// Reads a query; what is wrong with it otherwise.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        let pairs = query.unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A plus is one: values are URLs as often as not.
            let [name, value] = [name, value].map(|t| percent_decode_str(t).decode_utf8_lossy());
            if !known.contains(&&*name) {
                let known = match known {
                    [] => "none is known here".to_owned(),
                    some => format!("known here: {}", some.join(", ")),
                };
                return Err(format!("unknown parameter {name:?} ({known})"));
            }
            if found.insert(name.to_string(), value.to_string()).is_some() {
                return Err(format!("the parameter {name} is there twice"));
            }
        }
        Ok(Self(found))
    }

    /// The value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |text: &str| {
            let number = text.parse().ok();
            number.ok_or_else(|| format!("{name}: expected a number, found {text:?}"))
        };
        self.text(name).map(parse).transpose()
    }

    /// How many lines are wanted.
    pub fn limit(&self) -> Result<usize, String> {
        match self.number("limit")? {
            None => Ok(LINES),
            Some(lines @ 1..=MOST_LINES) => Ok(lines as usize),
            Some(other) => Err(format!("limit: expected 1 to {MOST_LINES}, found {other}")),
        }
    }

    /// Which objects are to be listed.
    pub fn list(&self) -> Result<Query, String> {
        let sort = self.text("sort").unwrap_or(SORTS[0].0);
        let order = SORTS.iter().find(|(name, _)| *name == sort);
        let (_, order) = *order.ok_or_else(|| {
            format!("sort: expected name, bytes, hits, age or recent, found {sort:?}")
        })?;
        let cursor = |text| {
            let cursor = Cursor::parse(text);
            cursor.ok_or("after: expected what the page before said as next".to_owned())
        };
        Ok(Query {
            search: self.text("search").unwrap_or_default().to_owned(),
            order,
            after: self.text("after").map(cursor).transpose()?,
            limit: self.limit()?,
        })
    }

    /// The object that is named.
    pub fn id(&self) -> Result<Option<ObjectId>, String> {
        let parse = |text| {
            let id = ObjectId::parse(text);
            id.ok_or("id: expected 32 hexadecimal digits, as lists show them".to_owned())
        };
        self.text("id").map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_said() {
        let known = ["search", "sort", "limit", "after", "id"];
        let list = |query: &str| Parameters::parse(Some(query), &known).and_then(|p| p.list());
        let query = list("search=a%20b+c&sort=hits&limit=7").unwrap();
        assert_eq!((query.search.as_str(), query.limit), ("a b+c", 7));
        assert_eq!(query.order, Order::Hits);
        for (wrong, says) in [
            ("sort=size", "expected name, bytes"),
            ("limit=0", "1 to 500"),
            ("limit=x", "expected a number"),
            ("limit=501", "1 to 500"),
            ("after=x", "next"),
            (
                "colour=red",
                "unknown parameter \"colour\" (known here: search",
            ),
            ("limit=1&limit=2", "twice"),
        ] {
            let why = list(wrong).unwrap_err();
            assert!(why.contains(says), "{wrong}: {why}");
        }
        let none = Parameters::parse(Some("x"), &[]).unwrap_err();
        assert!(none.contains("none is known here"), "{none}");
    }
}
