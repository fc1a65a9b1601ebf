//! Rules for the fields of a message's header.

use http::{HeaderMap, HeaderName, HeaderValue};

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

impl FieldRules {
    /// Applies the rules to a header.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
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
        rules.apply(&mut headers);
        assert!(!headers.contains_key("cookie"));
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1"]);
        assert_eq!(
            headers.get_all("x-b").iter().collect::<Vec<_>>(),
            ["1", "2"]
        );
    }
}
