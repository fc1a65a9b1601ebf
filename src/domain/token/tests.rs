//! What is signed is taken, and nothing else.

use super::*;
use proptest::prelude::*;

const SECRET: &[u8] = b"a secret of some length";

fn bearing<'a>(path: &'a str, address: Option<IpAddr>) -> Bearing<'a> {
    Bearing {
        host: "video.example",
        path,
        address,
        now: 1_000,
    }
}

fn claim(scope: Scope, address: Option<IpAddr>) -> Claim {
    Claim {
        key: "k1".into(),
        expires: 2_000,
        scope,
        address,
    }
}

fn verdict(text: &str, asked: &Bearing) -> Result<(), Flaw> {
    Token::parse(text.as_bytes())?.verify(SECRET, asked)
}

/// The MACs come from a second implementation (Python's `hmac` and `hashlib`).
#[test]
fn a_token_is_what_it_is_said_to_be() {
    let exact = claim(Scope::Exact, None).sign("video.example", "/films/7.mp4", SECRET);
    assert_eq!(exact, EXACT_TOKEN);
    let address = Some("192.0.2.7".parse().unwrap());
    let below = claim(Scope::below("/films/").unwrap(), address);
    assert_eq!(below.sign("video.example", "/", SECRET), BELOW_TOKEN);
}

const EXACT_TOKEN: &str = "k1.2000.e.-.pI6nylX1hm2pRmvuPS_11Crarjq06X7tdu8tKPL9IVM";
const BELOW_TOKEN: &str =
    "k1.2000.pL2ZpbG1zLw.c0000207.MdX6aQeBLhY_b6oiVnWB9wn3k2ApnHhWVNoiTnyIqGo";

#[test]
fn a_prefix_ends_where_a_segment_does_and_is_not_got_out_of() {
    let token = claim(Scope::below("/films").unwrap(), None).sign("video.example", "", SECRET);
    let table = [
        ("/films/a", Ok(())),
        ("/films/a/b.ts", Ok(())),
        ("/films/", Ok(())),
        ("/films//a", Ok(())),
        ("/films/..a/b..", Ok(())),
        ("/films", Err(Flaw::Path)),
        ("/filmsa/b", Err(Flaw::Path)),
        ("//films/a", Err(Flaw::Path)),
        ("/Films/a", Err(Flaw::Path)),
        ("/films%2Fa", Err(Flaw::Path)),
        ("/films/../a", Err(Flaw::Path)),
        ("/films/./a", Err(Flaw::Path)),
        ("/films/%2E%2E/a", Err(Flaw::Path)),
        ("/films/.%2E/a", Err(Flaw::Path)),
        ("/films/..%2Fa", Err(Flaw::Path)),
        ("/films/x%2F..%2F..%2Fa", Err(Flaw::Path)),
        ("/films/..\\a", Err(Flaw::Path)),
        ("/films/..%5Ca", Err(Flaw::Path)),
        ("/films/..;x/a", Err(Flaw::Path)),
        ("/films/%252E%252E/a", Err(Flaw::Path)),
        ("/films/a/..", Err(Flaw::Path)),
    ];
    for (path, expected) in table {
        assert_eq!(verdict(&token, &bearing(path, None)), expected, "{path}");
    }
    for bad in ["", "films/", "/a/../b/", "/a?b/", "/a/%2e%2e/"] {
        let scope = Scope::below(bad);
        assert!(
            scope.is_none_or(|scope| scope == Scope::Below("/".into())),
            "{bad}"
        );
    }
    assert_eq!(
        Scope::below("/%66ilms//"),
        Some(Scope::Below("/films/".into()))
    );
}

#[test]
fn each_flaw_has_its_name() {
    let address = |text: &str| Some(text.parse().unwrap());
    let token = claim(Scope::Exact, address("192.0.2.7")).sign("video.example", "/a", SECRET);
    let asked = bearing("/a", address("::ffff:192.0.2.7"));
    assert_eq!(verdict(&token, &asked), Ok(()));
    let at = |now| Bearing { now, ..asked };
    assert_eq!(verdict(&token, &at(1_999)), Ok(()));
    assert_eq!(verdict(&token, &at(2_000)), Err(Flaw::Expired));
    let other = Bearing {
        host: "other.example",
        ..asked
    };
    assert_eq!(verdict(&token, &other), Err(Flaw::Wrong));
    for who in [None, address("192.0.2.8"), address("2001:db8::1")] {
        assert_eq!(verdict(&token, &bearing("/a", who)), Err(Flaw::Address));
    }
    assert_eq!(
        verdict(&token, &bearing("/b", address("192.0.2.7"))),
        Err(Flaw::Wrong)
    );
    let other = Token::parse(token.as_bytes()).unwrap();
    assert_eq!(other.verify(b"another secret", &asked), Err(Flaw::Wrong));
    for text in [
        "",
        "k1",
        "k1.1.e.-",
        "a.b.c.d.e",
        "k 1.1.e.-.AA",
        "k1.1.e.-.AA.x",
        "k1.01.e.-.AA",
    ] {
        assert_eq!(verdict(text, &asked), Err(Flaw::Malformed), "{text}");
    }
}

fn any_address() -> impl Strategy<Value = Option<IpAddr>> {
    prop_oneof![
        Just(None),
        any::<[u8; 4]>().prop_map(|octets| Some(IpAddr::from(octets))),
        any::<[u8; 16]>().prop_map(|octets| Some(IpAddr::from(octets).to_canonical())),
    ]
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let scope = prop_oneof![
        Just(Scope::Exact),
        Just(Scope::below("/").unwrap()),
        Just(Scope::below("/films/a").unwrap()),
    ];
    ("[a-zA-Z0-9_-]{1,64}", 1..u64::MAX, scope, any_address()).prop_map(
        |(key, expires, scope, address)| Claim {
            key,
            expires,
            scope,
            address,
        },
    )
}

proptest! {
    #[test]
    fn what_is_signed_is_taken_until_it_expires(
        claim in any_claim(), rest in "[a-z]{0,8}", secret in prop::collection::vec(any::<u8>(), 1..80),
        before in any::<u64>(), after in any::<u64>(),
    ) {
        let path = format!("/films/a/{rest}");
        let expires = claim.expires;
        let asked = Bearing { now: before % expires, ..bearing(&path, claim.address) };
        let text = claim.clone().sign(asked.host, &path, &secret);
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        let token = Token::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&token.claim, &claim);
        prop_assert_eq!(token.verify(&secret, &asked), Ok(()));
        let late = Bearing { now: expires.saturating_add(after), ..asked };
        prop_assert_eq!(token.verify(&secret, &late), Err(Flaw::Expired));
    }

    #[test]
    fn no_bit_of_a_token_can_be_changed(claim in any_claim(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let path = "/films/a/b";
        let asked = Bearing { now: 0, ..bearing(path, claim.address) };
        let mut text = claim.sign(asked.host, path, SECRET).into_bytes();
        let at = at.index(text.len());
        text[at] ^= 1 << bit;
        let taken = Token::parse(&text).and_then(|token| token.verify(SECRET, &asked));
        prop_assert!(taken.is_err(), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn nothing_is_added_to_a_token_or_taken_off(claim in any_claim(), cut in any::<prop::sample::Index>(), more in "[A-Za-z0-9._-]{1,4}") {
        let asked = Bearing { now: 0, ..bearing("/films/a/b", claim.address) };
        let text = claim.sign(asked.host, asked.path, SECRET);
        let shorter = &text[..cut.index(text.len())];
        for text in [shorter.to_owned(), format!("{text}{more}"), format!("{more}{text}")] {
            let taken = Token::parse(text.as_bytes()).and_then(|token| token.verify(SECRET, &asked));
            prop_assert!(taken.is_err(), "{}", text);
        }
    }

    #[test]
    fn another_path_host_or_address_is_refused(
        claim in any_claim(), path in "(/films/a/|/films/|/)[a-z./%2]{0,10}", host in "[a-z.]{1,16}", address in any_address(),
    ) {
        let asked = Bearing { now: 0, ..bearing("/films/a/b", claim.address) };
        let text = claim.clone().sign(asked.host, asked.path, SECRET);
        let path = normal_path(path.as_bytes());
        let other = Bearing { path: &path, ..asked };
        let below = match &claim.scope {
            Scope::Exact => path == asked.path,
            Scope::Below(prefix) => path.starts_with(prefix.as_str()) && is_plain(&path),
        };
        prop_assert_eq!(verdict(&text, &other).is_ok(), below, "{}", path);
        prop_assert_eq!(verdict(&text, &Bearing { host: &host, ..asked }).is_ok(), host == asked.host);
        let may = claim.address.is_none_or(|own| Some(own) == address);
        prop_assert_eq!(verdict(&text, &Bearing { address, ..asked }).is_ok(), may);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(Token::parse(&bytes).is_err());
    }

    #[test]
    fn a_plain_path_stays_where_it_is(path in "/[a-c./\\\\;%2e5fcE]{0,14}") {
        let mut decoded = path.as_bytes().to_vec();
        for _ in 0..3 {
            let text = String::from_utf8_lossy(&decoded).replace('\\', "/");
            if is_plain(&path) {
                prop_assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
            }
            decoded = percent_decode(&decoded).collect();
        }
    }
}
