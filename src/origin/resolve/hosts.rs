//! The system's table of hosts, `/etc/hosts`; see hosts(5).

use std::net::IpAddr;

/// The addresses of a name, in the table's order, each once and no more than `most`.
pub(super) fn find(table: &str, name: &str, most: usize) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in table.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(ip)) = words.next().map(str::parse) else {
            continue;
        };
        let named = words.any(|word| word.eq_ignore_ascii_case(name));
        if named && found.len() < most && !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_hosts() {
        let table = "# comment\n\n127.0.0.1 localhost\n::1\tlocalhost ip6-localhost # b\n\
                     nonsense b\n10.0.0.1\n10.0.0.2  A.example b\n10.0.0.3 b\n10.0.0.2 b";
        for (name, expected) in [
            ("localhost", &["127.0.0.1", "::1"][..]),
            ("ip6-localhost", &["::1"]),
            ("a.example", &["10.0.0.2"]),
            ("b", &["10.0.0.2", "10.0.0.3"]),
            ("comment", &[]),
            ("", &[]),
        ] {
            let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(find(table, name, 2), expected, "{name}");
        }
    }
}
