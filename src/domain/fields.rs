//! Rules for the fields of a message's header.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::convert::Infallible;

/// Fields to be removed, set and added, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldRules {
    /// Fields to take out.
    pub remove: Vec<HeaderName>,
    /// Fields that are to have this value alone.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Lines to be added to whatever is there.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

/// A header that fields are taken out of and put into.
pub trait Fields {
    /// Why a field can't be put in.
    type Error;
    /// Takes a field out.
    fn take_out(&mut self, name: &HeaderName);
    /// Gives a field this value alone.
    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error>;
    /// Adds a line.
    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Self::Error>;
}

impl FieldRules {
    /// Applies the rules to a header.
    pub fn apply<F: Fields>(&self, header: &mut F) -> Result<(), F::Error> {
        self.remove.iter().for_each(|name| header.take_out(name));
        for (name, value) in &self.set {
            header.set(name.clone(), value.clone())?;
        }
        for (name, value) in &self.add {
            header.add(name.clone(), value.clone())?;
        }
        Ok(())
    }
}

impl Fields for HeaderMap {
    type Error = Infallible;

    fn take_out(&mut self, name: &HeaderName) {
        self.remove(name);
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Infallible> {
        self.insert(name, value);
        Ok(())
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Infallible> {
        self.append(name, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_removed_set_and_added() {
        let name = HeaderName::from_static;
        let value = HeaderValue::from_static;
        let rules = FieldRules {
            remove: vec![name("cookie")],
            set: vec![(name("x-a"), value("1"))],
            add: vec![(name("x-b"), value("2"))],
        };
        let mut headers = HeaderMap::new();
        for (n, v) in [("cookie", "c"), ("x-a", "0"), ("x-a", "0"), ("x-b", "1")] {
            headers.append(name(n), value(v));
        }
        rules.apply(&mut headers).unwrap();
        assert!(!headers.contains_key("cookie"));
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1"]);
        assert_eq!(
            headers.get_all("x-b").iter().collect::<Vec<_>>(),
            ["1", "2"]
        );
    }
}
