//! Edges in front of a ring of shields, each an ordinary Tidegate.

mod chain;
mod death;
mod purges;
mod versions;

use crate::{
    client::Client,
    gate::{CHUNK, Gate},
    model::Object,
    origin::{Origin, Script, Seen, Tag},
    ring::{GROUP, addresses, edge, edge_with, film, shields},
};
use std::net::SocketAddr;
use tidegate::{domain::Groups, proxy::Mode, server::Settings};
use tokio::task::JoinSet;

/// So many groups that each of three shields has some.
const SIZE: u64 = 40 * GROUP + 4321;

async fn assert_film(edge: &Gate, object: &Object, range: Option<&str>) {
    check_film(edge.address(), object, range).await;
}

async fn check_film(edge: SocketAddr, object: &Object, range: Option<&str>) {
    let mut request = film();
    if let Some(range) = range {
        request = request.range(range);
    }
    let answer = Client::connect(edge).await.ask(&request).await;
    let verdict = object.verify(&object.expected(range, None), &answer);
    verdict.unwrap_or_else(|wrong| panic!("{range:?}: {wrong}\n{answer}"));
}

/// The groups of all windows that were asked for; each lies in one.
fn groups(log: &[Seen]) -> Vec<u64> {
    let window = |seen: &Seen| seen.window().expect("only parts are asked for");
    let group = |(first, last): (u64, u64)| {
        assert_eq!(
            first / GROUP,
            last / GROUP,
            "{first}-{last} is of two groups"
        );
        first / GROUP
    };
    let mut groups: Vec<_> = log.iter().map(window).map(group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_at_two_edges_cost_the_origin_each_byte_once() {
    for group in [GROUP, 8 * GROUP] {
        let script = Script {
            rate: Some(8 << 20),
            ..Script::new(1300, SIZE)
        };
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let shields = shields(&origin, 3).await;
        let ring = addresses(&shields);
        let coarse = |settings: &mut Settings| settings.origins[0].groups = Groups::of(group);
        let edges = [
            edge_with("edge-0", &ring, coarse).await,
            edge_with("edge-1", &ring, coarse).await,
        ];
        let mut clients = JoinSet::new();
        for nth in 0..100 {
            let (object, edge) = (object.clone(), edges[nth % 2].address());
            clients.spawn(async move {
                let first = nth as u64 * 40_000;
                let range = match nth % 10 {
                    0 | 1 => None,
                    2 | 3 => Some(format!("bytes={first}-")),
                    _ => Some(format!("bytes={first}-{}", first + 400_000)),
                };
                check_film(edge, &object, range.as_deref()).await;
            });
        }
        clients.join_all().await;
        let log = origin.settled().await;
        let at_once: Vec<_> = log.iter().filter_map(Seen::window).collect();
        assert!(
            at_once
                .iter()
                .all(|(first, last)| first / group == last / group)
        );
        // Of a large group each shield's first answer may bring what seeks ahead of it have brought.
        let most = if group == GROUP { 0 } else { 3 * group };
        let more = origin.sent("/film") - SIZE;
        assert!(more <= most, "{more} more than {SIZE}: {at_once:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_group_is_asked_of_one_server_whatever_is_wanted() {
    let script = Script::new(1301, SIZE);
    let object = Object::from(&script);
    for (mode, whole_first) in [
        (Mode::Streaming, false),
        (Mode::Streaming, true),
        (Mode::StoreFirst, true),
    ] {
        let servers = [
            Origin::with(script.clone()).await,
            Origin::with(script.clone()).await,
            Origin::with(script.clone()).await,
        ];
        let ring: Vec<_> = servers.iter().map(Origin::address).collect();
        let edge = edge_with("edge", &ring, |settings| settings.routes[0].mode = mode).await;
        let odd = format!("bytes={}-{}", 3 * GROUP - 1, 9 * GROUP + 1);
        let mut ranges = [
            Some(odd.as_str()),
            Some("bytes=-70000"),
            Some("bytes=0-0,900000-900100"),
            Some("bytes=5000000-"),
            None,
        ];
        if whole_first {
            ranges.reverse();
        }
        for range in ranges {
            assert_film(&edge, &object, range).await;
        }
        let mut all = Vec::new();
        for server in &servers {
            let own = groups(&server.settled().await);
            assert!(!own.is_empty(), "a server had no part in it");
            all.extend(own);
        }
        all.sort_unstable();
        let each: Vec<_> = (0..=SIZE / GROUP).collect();
        assert_eq!(all, each, "each group is at one server");
        let sent: u64 = servers.iter().map(|server| server.sent("/film")).sum();
        assert_eq!(sent, SIZE);
    }
}

/// What fits into a group costs what it costs without groups: one request.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_one_request_with_a_validator_or_without() {
    for (etag, last_modified) in [(Tag::Strong, true), (Tag::None, false)] {
        let script = Script {
            etag,
            last_modified,
            ..Script::new(1302, CHUNK + 9)
        };
        let object = Object::from(&script);
        let origin = Origin::with(script).await;
        let shields = shields(&origin, 2).await;
        let edge = edge("edge", &addresses(&shields)).await;
        for _ in 0..2 {
            assert_film(&edge, &object, None).await;
        }
        assert_eq!(origin.settled().await.len(), 1);
        assert_eq!(edge.metric("tidegate_origin_requests_total").await, 1.0);
    }
}
