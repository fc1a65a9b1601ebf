//! The resolver against a scripted DNS server on a real socket.

use super::*;
use std::{
    collections::VecDeque,
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time,
};

/// What the server says to queries.
#[derive(Clone, Debug, Default)]
struct Script {
    ips: Vec<IpAddr>,
    ttl: u32,
    /// Response code: 2 = server failure, 3 = no such name.
    code: u8,
    /// Record types that get no reply at all.
    silent: Vec<u16>,
    /// Over UDP only the word that TCP should be used.
    truncated: bool,
    delay: Duration,
}

#[derive(Debug)]
struct Dns {
    script: Arc<Mutex<Script>>,
    /// Names and record types that were asked for.
    asked: Arc<Mutex<Vec<(String, u16)>>>,
    address: SocketAddr,
}

const A: u16 = 1;
const AAAA: u16 = 28;
const EVERYTHING: [u16; 2] = [A, AAAA];

impl Dns {
    async fn start(script: Script) -> Self {
        let (udp, tcp) = sockets().await;
        let dns = Self {
            script: Arc::new(Mutex::new(script)),
            asked: Arc::default(),
            address: udp.local_addr().unwrap(),
        };
        let (udp, script, asked) = (Arc::new(udp), dns.script.clone(), dns.asked.clone());
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((n, from)) = udp.recv_from(&mut buffer).await {
                let (script, udp) = (script.lock().clone(), udp.clone());
                let (question, reply) = reply(&buffer[..n], &script, script.truncated);
                let silent = script.silent.contains(&question.1);
                asked.lock().push(question);
                tokio::spawn(async move {
                    time::sleep(script.delay).await;
                    if !silent {
                        udp.send_to(&reply, from).await.unwrap();
                    }
                });
            }
        });
        let script = dns.script.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let script = script.clone();
                tokio::spawn(async move {
                    while let Ok(n) = stream.read_u16().await {
                        let mut query = vec![0; n.into()];
                        stream.read_exact(&mut query).await.unwrap();
                        let (_, reply) = reply(&query, &script.lock().clone(), false);
                        let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
                        let reply = [&length[..], &reply].concat();
                        stream.write_all(&reply).await.unwrap();
                    }
                });
            }
        });
        dns
    }

    fn resolver(&self) -> Arc<Resolver> {
        Resolver::new(&Resolving {
            servers: vec![self.address],
            timeout: Duration::from_secs(2),
            ..Resolving::default()
        })
        .unwrap()
    }

    /// Queries for IPv4 addresses so far: one for each look-up.
    fn lookups(&self) -> usize {
        self.asked
            .lock()
            .iter()
            .filter(|(_, kind)| *kind == A)
            .count()
    }

    fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock());
    }
}

/// One port for both protocols.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

/// RFC 1035, section 4: header, question, and one record for each address of the kind asked for.
fn reply(query: &[u8], script: &Script, truncated: bool) -> ((String, u16), Vec<u8>) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[12..at + 5];
    let data = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => (A, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
    };
    let records = script.ips.iter().map(data).filter(|(of, _)| *of == kind);
    let records: VecDeque<_> = records.filter(|_| !truncated && script.code == 0).collect();
    let mut reply = query[..2].to_vec();
    reply.extend([0x81 | u8::from(truncated) << 1, 0x80 | script.code]);
    reply.extend([0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    reply.extend(question);
    for (kind, data) in records {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1]);
        reply.extend(script.ttl.to_be_bytes());
        reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        reply.extend(data);
    }
    ((labels.join("."), kind), reply)
}

fn script(ips: &[&str], ttl: u32) -> Script {
    Script {
        ips: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        ttl,
        ..Script::default()
    }
}

fn texts(addresses: &[SocketAddr]) -> Vec<String> {
    let mut texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

async fn one(resolver: &Arc<Resolver>) -> io::Result<String> {
    let found = resolver.resolve("origin.example", 80).await?;
    Ok(texts(&found).join(" "))
}

/// Moves the clock; it stands still only for that, for sockets do not wait for it.
async fn later(seconds: u64) {
    time::pause();
    time::advance(Duration::from_secs(seconds)).await;
    time::resume();
}

/// Until no look-up is under way.
async fn landed(resolver: &Resolver) {
    while !resolver.state.lock().flights.is_empty() {
        time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn all_addresses_of_both_families() {
    let dns = Dns::start(script(&["192.0.2.1", "192.0.2.2", "2001:db8::1"], 60)).await;
    let resolver = dns.resolver();
    assert_eq!(resolver.peek("origin.example", 80), None);
    let found = resolver.resolve("Origin.Example", 80).await.unwrap();
    let expected = ["192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"];
    assert_eq!(texts(&found), expected);
    assert_eq!(resolver.peek("origin.example", 80), Some(found));
    let mut asked = dns.asked.lock().clone();
    asked.sort();
    assert_eq!(
        asked,
        EVERYTHING.map(|kind| ("origin.example".into(), kind))
    );
}

#[tokio::test]
async fn one_family_is_enough() {
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let dns = Dns::start(script(&[ip], 60)).await;
        let found = dns.resolver().resolve("origin.example", 1).await.unwrap();
        assert_eq!(*found, [SocketAddr::new(ip.parse().unwrap(), 1)]);
    }
}

#[tokio::test]
async fn literal_addresses_ask_nobody() {
    let dns = Dns::start(Script::default()).await;
    let resolver = dns.resolver();
    for (host, ip) in [
        ("192.0.2.1", IpAddr::from([192, 0, 2, 1])),
        ("::1", Ipv6Addr::LOCALHOST.into()),
        ("[::1]", Ipv6Addr::LOCALHOST.into()),
    ] {
        let expected = [SocketAddr::new(ip, 8)];
        assert_eq!(*resolver.resolve(host, 8).await.unwrap(), expected);
        assert_eq!(*resolver.peek(host, 8).unwrap(), expected);
    }
    let local = resolver.resolve("localhost", 8).await.unwrap();
    assert!(local.contains(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8)));
    assert!(dns.asked.lock().is_empty());
}

#[tokio::test]
async fn the_ttl_is_honoured_and_a_stale_answer_given_while_it_is_renewed() {
    let dns = Dns::start(script(&["192.0.2.1"], 20)).await;
    let resolver = dns.resolver();
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
    dns.set(|s| s.ips = vec![[192, 0, 2, 2].into()]);
    later(18).await;
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
    assert_eq!(dns.lookups(), 1);
    later(3).await;
    for _ in 0..10 {
        assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
    }
    landed(&resolver).await;
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.2:80");
    assert_eq!(dns.lookups(), 2);
    dns.set(|s| s.ips = vec![[192, 0, 2, 3].into()]);
    later(20 + 31).await;
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.3:80", "waited for");
}

#[tokio::test]
async fn many_callers_one_query() {
    let slow = Script {
        delay: Duration::from_millis(50),
        ..script(&["192.0.2.1"], 60)
    };
    let dns = Dns::start(slow).await;
    let resolver = dns.resolver();
    let callers = (0..100).map(|_| one(&resolver));
    for found in futures_util::future::join_all(callers).await {
        assert_eq!(found.unwrap(), "192.0.2.1:80");
    }
    assert_eq!(dns.lookups(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_breaks_nothing() {
    let slow = Script {
        delay: Duration::from_millis(50),
        ..script(&["192.0.2.1"], 60)
    };
    let dns = Dns::start(slow).await;
    let resolver = dns.resolver();
    let first = time::timeout(Duration::from_millis(10), one(&resolver)).await;
    assert!(first.is_err(), "it went away");
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
    assert_eq!(dns.lookups(), 1);
}

#[tokio::test]
async fn a_task_that_is_torn_down_leaves_its_name_free() {
    let dns = Dns::start(script(&["192.0.2.1"], 60)).await;
    let resolver = dns.resolver();
    let other = resolver.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        // Begun in a runtime that ends before the task has run.
        let step = other.step("origin.example").unwrap();
        assert!(matches!(step, Step::Wait(_)));
    })
    .join()
    .unwrap();
    assert!(resolver.state.lock().flights.is_empty());
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
}

#[tokio::test]
async fn when_renewing_fails_the_old_answer_stays() {
    let dns = Dns::start(script(&["192.0.2.1"], 20)).await;
    let resolver = dns.resolver();
    one(&resolver).await.unwrap();
    dns.set(|s| s.code = 2);
    for pause in [21, 10, 600, 2900] {
        later(pause).await;
        assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
        landed(&resolver).await;
    }
    later(120).await;
    let e = one(&resolver).await.unwrap_err();
    assert!(e.to_string().starts_with("origin.example: "), "{e}");
    dns.set(|s| s.code = 0);
    later(2).await;
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
}

#[tokio::test]
async fn a_missing_name_is_remembered_for_a_moment() {
    let dns = Dns::start(Script {
        code: 3,
        ..Script::default()
    })
    .await;
    let resolver = dns.resolver();
    for _ in 0..10 {
        let e = one(&resolver).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::NotFound, "{e}");
    }
    assert_eq!(dns.lookups(), 1);
    dns.set(|s| *s = script(&["192.0.2.1"], 60));
    later(6).await;
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let dns = Dns::start(Script {
        silent: EVERYTHING.into(),
        ..Script::default()
    })
    .await;
    let resolver = dns.resolver();
    let start = time::Instant::now();
    let e = one(&resolver).await.unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::TimedOut, "{e}");
    assert!(start.elapsed() < Duration::from_secs(3));
    dns.set(|s| *s = script(&["192.0.2.1"], 60));
    assert!(one(&resolver).await.is_err(), "it rests a moment");
    later(1).await;
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
}

#[tokio::test]
async fn a_family_without_a_reply_does_not_hold_up_the_other() {
    let dns = Dns::start(Script {
        silent: vec![AAAA],
        ..script(&["192.0.2.1", "2001:db8::1"], 60)
    })
    .await;
    let resolver = dns.resolver();
    let start = time::Instant::now();
    assert_eq!(one(&resolver).await.unwrap(), "192.0.2.1:80");
    assert!(start.elapsed() < Duration::from_millis(1500));
    dns.set(|s| s.silent.clear());
    later(11).await;
    one(&resolver).await.unwrap();
    landed(&resolver).await;
    assert_eq!(
        one(&resolver).await.unwrap(),
        "192.0.2.1:80 [2001:db8::1]:80"
    );
}

#[tokio::test]
async fn what_is_too_long_for_udp_comes_by_tcp() {
    let dns = Dns::start(Script {
        truncated: true,
        ..script(&["192.0.2.1"], 60)
    })
    .await;
    assert_eq!(one(&dns.resolver()).await.unwrap(), "192.0.2.1:80");
}

#[tokio::test]
async fn nonsense_is_an_error() {
    let dns = Dns::start(script(&["192.0.2.1"], 60)).await;
    let resolver = dns.resolver();
    let long = "a".repeat(300);
    let label = "b".repeat(80);
    for host in ["", &long, &label, "a..b", "[::1", "\0"] {
        let _ = resolver.resolve(host, 80).await.map_err(|e| e.to_string());
    }
    assert!(resolver.resolve("", 80).await.is_err());
    assert!(resolver.resolve(&long, 80).await.is_err());
    assert!(resolver.resolve(&label, 80).await.is_err());
}
