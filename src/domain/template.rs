//! Texts with places for what a regular expression has found, and for what makes a derivative:
//! `/store/${id}/${width}.mp4`.

use super::{
    spelling::{normal_target, split_target},
    variant::{Derivative, Variants, written},
};

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

    /// The target that this makes of a request for `asked`: places take the groups of the pattern
    /// that its path matches, and what its query says of variants. The rest of the query is kept,
    /// unless the template has one of its own.
    pub fn target(
        &self,
        pattern: Option<&regex::Regex>,
        variants: &Variants,
        asked: &str,
    ) -> String {
        // Others may have written it than us: a client's own POST, say.
        let asked = normal_target(asked.as_bytes());
        let (path, query) = split_target(&asked);
        let captures = pattern.and_then(|pattern| pattern.captures(path));
        let takes_variants = self.places().any(|place| variants.have(place));
        let derivative = takes_variants.then(|| variants.lenient(query));
        let values = derivative.as_ref().map_or(&[][..], |d| &d.values);
        let mut filled = self.fill(|name| {
            let group = || Some(captures.as_ref()?.name(name)?.as_str());
            let value = values.iter().find(|(known, _)| known == name);
            value.map(|(_, value)| value.as_str()).or_else(group)
        });
        let query = match &derivative {
            None => query.map(str::to_owned),
            Some(derivative) => self.query_without_places(derivative),
        };
        if let Some(query) = query.filter(|_| !filled.contains('?')) {
            filled.push('?');
            filled.push_str(&query);
        }
        filled
    }

    /// A query without the variants that stand in the path.
    fn query_without_places(&self, derivative: &Derivative) -> Option<String> {
        let is_placed = |name: &str| self.places().any(|place| place == name);
        let values = derivative.values.iter().cloned();
        let left: Vec<_> = values.filter(|(name, _)| !is_placed(name)).collect();
        let rest = derivative.rest.iter().map(|text| text.to_string());
        let all: Vec<_> = rest.chain(written(&left)).collect();
        (!all.is_empty()).then(|| all.join("&"))
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
    use crate::domain::{Kind, Parameter, Scale};
    use proptest::prelude::*;

    #[test]
    fn places_are_filled() {
        let template = Template::parse("/store/${id}.mp4$$${rest}").unwrap();
        assert_eq!(template.places().collect::<Vec<_>>(), ["id", "rest"]);
        let filled = template.fill(|name| (name == "id").then_some("42"));
        assert_eq!(filled, "/store/42.mp4$");
    }

    #[test]
    fn a_target_is_made_of_groups_and_variants() {
        let parameter = |name: &str, default: Option<&str>| Parameter {
            name: name.into(),
            aliases: Vec::new(),
            kind: Kind::Integer(Scale::default()),
            default: default.map(str::to_owned),
        };
        let variants = Variants {
            parameters: vec![
                parameter("height", None),
                parameter("quality", None),
                parameter("width", Some("720")),
            ],
            ..Variants::default()
        };
        let pattern = "^/(?<id>[a-z]+)$".parse().unwrap();
        let target = |template: &str, asked| {
            let template = Template::parse(template).unwrap();
            template.target(Some(&pattern), &variants, asked)
        };
        let table = [
            ("/s/${id}", "/a", "/s/a"),
            ("/s/${id}", "/%61?b=1&width=5", "/s/a?b=1&width=5"),
            ("/s/${id}?x=1", "/a?b=1", "/s/a?x=1"),
            ("/${width}x${height}/${id}", "/a", "/720x/a"),
            (
                "/${width}x${height}/${id}",
                "/a?height=07&width=05",
                "/5x7/a",
            ),
            (
                "/${width}/${id}",
                "/a?b&width=5&height=7",
                "/5/a?b&height=7",
            ),
            (
                "/${width}/${id}?q=${quality}",
                "/a?quality=9&b",
                "/720/a?q=9",
            ),
        ];
        for (template, asked, expected) in table {
            assert_eq!(target(template, asked), expected, "{template} {asked}");
        }
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
