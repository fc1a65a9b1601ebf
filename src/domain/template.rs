//! Texts with places for what a regular expression has found: `/store/${id}.mp4`.

/// A text with named places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

impl Template {
    /// Reads a template; `$$` is a dollar sign. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            plain.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                plain.push('$');
                rest = after;
                continue;
            }
            let inner = rest
                .strip_prefix('{')
                .ok_or("a \"$\" must be followed by {name}, or be written \"$$\"")?;
            let (name, after) = inner.split_once('}').ok_or("a \"${\" lacks its \"}\"")?;
            let named =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !named {
                return Err("a place must have a name of letters, digits and \"_\"");
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Place(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The names of its places.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Place(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with every place filled; a place that nothing is found for stays empty.
    pub fn fill<'a>(&self, mut found: impl FnMut(&str) -> Option<&'a str>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Place(name) => text.push_str(found(name).unwrap_or_default()),
            }
        }
        text
    }

    /// The target that this makes of a request for `asked`, by the groups of the pattern that its
    /// path matches. The query is kept, unless the template has one of its own.
    pub fn target(&self, pattern: Option<&regex::Regex>, asked: &str) -> String {
        let (path, query) = asked
            .split_once('?')
            .map_or((asked, None), |(path, query)| (path, Some(query)));
        let captures = pattern.and_then(|pattern| pattern.captures(path));
        let mut filled = self.fill(|name| Some(captures.as_ref()?.name(name)?.as_str()));
        if let Some(query) = query.filter(|_| !filled.contains('?')) {
            filled.push('?');
            filled.push_str(query);
        }
        filled
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(plain) => f.write_str(&plain.replace('$', "$$")),
            Part::Place(name) => write!(f, "${{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_filled() {
        let template = Template::parse("/store/${id}.mp4$$${rest}").unwrap();
        assert_eq!(template.places().collect::<Vec<_>>(), ["id", "rest"]);
        let filled = template.fill(|name| (name == "id").then_some("42"));
        assert_eq!(filled, "/store/42.mp4$");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for text in ["$", "a$b", "${", "${}", "${a b}", "${a"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_template_reads_as_it_is_written(text in "([a-z/]|\\$\\$|\\$\\{[a-z]\\}){0,12}") {
            let template = Template::parse(&text).unwrap();
            prop_assert_eq!(template.to_string(), text);
        }
    }
}
