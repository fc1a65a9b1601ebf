//! What a parameter may be set to, and the one form of each value.

use super::time;

/// What kind of values a parameter has, and which of them it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers from 0 on.
    Integer(Scale),
    /// Points and lengths of time.
    Duration(Scale),
    /// Words of letters, digits, `-`, `.`, `_` and `~` that begin with a letter or a digit.
    Word(Words),
}

/// Which numbers are taken; those of times count milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// The least.
    pub min: Option<u64>,
    /// The largest.
    pub max: Option<u64>,
    /// Which between them.
    pub steps: Steps,
}

/// Which numbers between the least and the largest are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Steps {
    /// Each.
    #[default]
    Any,
    /// These alone.
    Allowed(Vec<u64>),
    /// Each becomes the least of these that is not below it, or the largest where it is beyond
    /// them all. They ascend.
    Breakpoints(Vec<u64>),
}

/// Which words are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// These alone; each where there are none.
    pub allowed: Vec<String>,
    /// Whether capital letters make no difference. A word is written as it stands in the list, or
    /// small where there is no list.
    pub ignores_case: bool,
}

/// Longest value that is looked at.
const LONGEST: usize = 64;

impl Kind {
    /// The one form of a value, or what was expected in its place.
    pub fn canonical(&self, value: &str) -> Result<String, String> {
        let found = match self {
            _ if value.len() > LONGEST => None,
            Self::Integer(scale) => scale.place(integer(value)).map(|number| number.to_string()),
            Self::Duration(scale) => scale.place(time::parse(value)).map(time::show),
            Self::Word(words) => words.spell(value),
        };
        found.ok_or_else(|| self.expected())
    }

    /// A value as it is read, whichever are taken; the configuration is written in such.
    pub fn number(&self, value: &str) -> Option<u64> {
        match self {
            Self::Integer(_) => integer(value),
            Self::Duration(_) => time::parse(value),
            Self::Word(_) => None,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Integer(scale) => {
                format!("a whole number{}", scale.expected(|n| n.to_string()))
            }
            Self::Duration(scale) => {
                format!("a time such as 10s or 00:10{}", scale.expected(time::show))
            }
            Self::Word(words) => match words.allowed.is_empty() {
                true => format!("a word of at most {LONGEST} letters, digits, \"-\", \".\", \"_\""),
                false => format!("one of {}", words.allowed.join(", ")),
            },
        }
    }
}

impl Scale {
    /// Where a number comes to stand.
    fn place(&self, number: Option<u64>) -> Option<u64> {
        let within =
            |n: &u64| self.min.is_none_or(|min| min <= *n) && self.max.is_none_or(|max| *n <= max);
        let number = number.filter(within)?;
        match &self.steps {
            Steps::Any => Some(number),
            Steps::Allowed(allowed) => allowed.contains(&number).then_some(number),
            Steps::Breakpoints(points) => {
                let next = points.iter().find(|point| **point >= number);
                next.or(points.last()).copied()
            }
        }
    }

    fn expected(&self, show: impl Fn(u64) -> String) -> String {
        let list = |numbers: &[u64]| {
            numbers
                .iter()
                .map(|n| show(*n))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (&self.steps, self.min, self.max) {
            (Steps::Allowed(allowed), _, _) => format!(", one of {}", list(allowed)),
            (_, Some(min), Some(max)) => format!(" from {} to {}", show(min), show(max)),
            (_, Some(min), None) => format!(" from {} on", show(min)),
            (_, None, Some(max)) => format!(" up to {}", show(max)),
            (_, None, None) => String::new(),
        }
    }
}

impl Words {
    fn spell(&self, word: &str) -> Option<String> {
        if !is_word(word) {
            return None;
        }
        let same = |known: &&String| match self.ignores_case {
            true => known.eq_ignore_ascii_case(word),
            false => *known == word,
        };
        match (self.allowed.is_empty(), self.ignores_case) {
            (false, _) => self.allowed.iter().find(same).cloned(),
            (true, true) => Some(word.to_ascii_lowercase()),
            (true, false) => Some(word.to_owned()),
        }
    }
}

/// Whether a text can stand in a path or a query and be nothing else than itself there.
pub fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(plain)
}

fn integer(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(kind: &Kind, value: &str) -> String {
        kind.canonical(value).unwrap_or("-".into())
    }

    #[test]
    fn numbers_come_to_stand_on_breakpoints() {
        let scale = Scale {
            min: Some(16),
            max: Some(4000),
            steps: Steps::Breakpoints(vec![320, 720, 1080]),
        };
        let width = Kind::Integer(scale);
        let table = [
            ("16", "320"),
            ("320", "320"),
            ("321", "720"),
            ("0700", "720"),
            ("1081", "1080"),
            ("4000", "1080"),
            ("15", "-"),
            ("4001", "-"),
            ("", "-"),
            ("+700", "-"),
            ("-1", "-"),
            ("7e2", "-"),
            ("700.0", "-"),
            ("99999999999999999999", "-"),
        ];
        for (value, expected) in table {
            assert_eq!(form(&width, value), expected, "{value}");
        }
        let told = width.canonical("x").unwrap_err();
        assert_eq!(told, "a whole number from 16 to 4000");
    }

    #[test]
    fn times_and_words_have_one_form() {
        let time = Kind::Duration(Scale {
            max: Some(60_000),
            steps: Steps::Allowed(vec![10_000, 20_500]),
            ..Scale::default()
        });
        for (value, expected) in [("00:10", "10s"), ("20.50", "20.5s"), ("5s", "-")] {
            assert_eq!(form(&time, value), expected, "{value}");
        }
        let words = |allowed: &[&str], ignores_case| {
            Kind::Word(Words {
                allowed: allowed.iter().map(|word| word.to_string()).collect(),
                ignores_case,
            })
        };
        let table = [
            (words(&["mp4", "WebM"], true), "webm", "WebM"),
            (words(&["mp4", "WebM"], false), "webm", "-"),
            (words(&[], true), "Crop", "crop"),
            (words(&[], false), "Crop", "Crop"),
            (words(&[], false), "..", "-"),
            (words(&[], false), "a/b", "-"),
            (words(&[], false), "", "-"),
        ];
        for (kind, value, expected) in table {
            assert_eq!(form(&kind, value), expected, "{kind:?} {value}");
        }
        assert_eq!(form(&words(&[], false), &"a".repeat(65)), "-");
    }

    proptest! {
        #[test]
        fn the_one_form_is_its_own(
            value in "[0-9]{1,6}(s|ms)?|[0-9]:[0-5][0-9]|[a-zA-Z.]{1,5}",
            points in prop::collection::btree_set(0..100_000u64, 1..5),
        ) {
            let scale = Scale { steps: Steps::Breakpoints(points.into_iter().collect()), ..Scale::default() };
            for kind in [
                Kind::Integer(Scale::default()),
                Kind::Integer(scale.clone()),
                Kind::Duration(Scale::default()),
                Kind::Duration(scale.clone()),
                Kind::Word(Words { ignores_case: true, ..Words::default() }),
            ] {
                if let Ok(once) = kind.canonical(&value) {
                    prop_assert!(is_word(&once));
                    prop_assert_eq!(kind.canonical(&once), Ok(once));
                }
            }
        }
    }
}
