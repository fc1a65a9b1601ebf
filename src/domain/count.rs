//! Numbers of things in words.

/// So many things: `1 object`, `2 objects`. For things whose plural is made with an s.
pub fn count_of(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        let said = [0, 1, 2].map(|number| count_of(number, "object"));
        assert_eq!(said, ["0 objects", "1 object", "2 objects"]);
    }
}
