//! One look-up: who is asked, and what their answers come to.

use super::{
    hosts,
    table::{Answer, Failure, Family},
};
use crate::origin::Resolving;
use futures_util::future::{Either, select};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{op::ResponseCode, rr::RecordType},
    system_conf::parse_resolv_conf,
};
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};
use tokio::time::timeout;

/// Whom names are asked of.
#[derive(Debug)]
pub(super) struct Asker {
    /// The DNS servers, or why there are none.
    dns: Result<TokioResolver, String>,
    /// The table of hosts that goes before them.
    hosts: Option<PathBuf>,
    timeout: Duration,
}

/// What one family's half of a look-up found.
type Half = Result<(Vec<IpAddr>, Duration), Failure>;

/// So much longer than the first family with addresses the other may take; RFC 8305 section 3
/// lets a client wait 50 ms, but here many use what one waits for.
const GRACE: Duration = Duration::from_millis(500);
/// Tries within the deadline, so that a lost datagram or a dead server is survived.
const TRIES: u32 = 3;
/// Addresses of a name that are used.
const ADDRESSES: usize = 64;
/// How long the table of hosts is believed.
const HOSTS_TTL: Duration = Duration::from_secs(10);
/// How long an absence is believed when the server does not tell.
const ABSENT_TTL: Duration = Duration::from_secs(5);

impl Asker {
    /// The configured servers; the system's, with its table of hosts, where there are none.
    pub fn new(config: &Resolving) -> io::Result<Self> {
        if config.servers.is_empty() {
            let (resolv_conf, hosts) = ("/etc/resolv.conf", "/etc/hosts");
            return Self::system(config, resolv_conf.as_ref(), hosts.into());
        }
        let servers = config.servers.iter().copied().map(server).collect();
        let servers = ResolverConfig::from_parts(None, Vec::new(), servers);
        Ok(Self {
            dns: Ok(client(servers, ResolverOpts::default(), config)?),
            hosts: None,
            timeout: config.timeout,
        })
    }

    /// As `resolv_conf` says; without DNS where it says nothing that is understood.
    fn system(config: &Resolving, resolv_conf: &Path, hosts: PathBuf) -> io::Result<Self> {
        let read = fs::read(resolv_conf).map_err(NetError::from);
        let dns = match read.and_then(parse_resolv_conf) {
            Ok((servers, options)) => Ok(client(servers, options, config)?),
            Err(e) => Err(format!("no DNS server: {}: {e}", resolv_conf.display())),
        };
        if let Err(why) = &dns {
            log::warn!("names of origins' servers cannot be looked up: {why}");
        }
        Ok(Self {
            dns,
            hosts: Some(hosts),
            timeout: config.timeout,
        })
    }

    /// All addresses of a name, in time.
    pub async fn ask(&self, name: &str) -> Result<Answer, Failure> {
        if let Some(ips) = self.local(name).await {
            return Ok(Answer {
                ips,
                ttl: HOSTS_TTL,
                lacks: None,
            });
        }
        let dns = self.dns.as_ref();
        let dns = dns.map_err(|why| failed(io::ErrorKind::NotConnected, why))?;
        let six = pin!(self.half(dns, name, RecordType::AAAA));
        let four = pin!(self.half(dns, name, RecordType::A));
        let (six, four) = match select(six, four).await {
            Either::Left((six, four)) => {
                let four = other(&six, four).await;
                (six, four)
            }
            Either::Right((four, six)) => (other(&four, six).await, four),
        };
        joined(six, four)
    }

    /// What needs no DNS server: the table of hosts, and `localhost` (RFC 6761, section 6.3).
    async fn local(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = name.trim_end_matches('.');
        if let Some(path) = &self.hosts
            && let Ok(text) = tokio::fs::read(path).await
        {
            let ips = hosts::find(&String::from_utf8_lossy(&text), name, ADDRESSES);
            if !ips.is_empty() {
                return Some(ips);
            }
        }
        let loopback = name == "localhost" || name.ends_with(".localhost");
        loopback.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }

    async fn half(&self, dns: &TokioResolver, name: &str, kind: RecordType) -> Half {
        match timeout(self.timeout, dns.lookup(name, kind)).await {
            Err(_) | Ok(Err(NetError::Timeout)) => Err(silent()),
            Ok(Err(e)) => Err(failure(&e)),
            Ok(Ok(found)) => {
                // The names on the way to the addresses (CNAME) are part of the answer.
                let ttl = found.answers().iter().map(|record| record.ttl).min();
                let ttl = Duration::from_secs(ttl.unwrap_or_default().into());
                let mut ips = Vec::new();
                for ip in (found.answers().iter()).filter_map(|record| record.data.ip_addr()) {
                    if ips.len() < ADDRESSES && !ips.contains(&ip) {
                        ips.push(ip);
                    }
                }
                if ips.is_empty() {
                    return Err(Failure::Absent(ABSENT_TTL));
                }
                Ok((ips, ttl))
            }
        }
    }
}

/// Waits for the other family, but not long when the first one has addresses.
async fn other(first: &Half, second: impl Future<Output = Half>) -> Half {
    if first.is_err() {
        return second.await;
    }
    timeout(GRACE, second)
        .await
        .unwrap_or_else(|_| Err(silent()))
}

fn joined(six: Half, four: Half) -> Result<Answer, Failure> {
    let lacks = |half: &Half, family| matches!(half, Err(Failure::Failed(..))).then_some(family);
    let lacks = lacks(&six, Family::V6).or(lacks(&four, Family::V4));
    match (six, four) {
        (Ok((mut ips, six)), Ok((more, four))) => {
            ips.extend(more);
            let ttl = six.min(four);
            Ok(Answer { ips, ttl, lacks })
        }
        (Ok((ips, ttl)), Err(_)) | (Err(_), Ok((ips, ttl))) => Ok(Answer { ips, ttl, lacks }),
        (Err(Failure::Absent(six)), Err(Failure::Absent(four))) => {
            Err(Failure::Absent(six.min(four)))
        }
        (Err(Failure::Absent(_)), Err(e)) | (Err(e), Err(_)) => Err(e),
    }
}

/// UDP, and TCP for what is too long for it.
fn server(address: SocketAddr) -> NameServerConfig {
    let both = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, both.into())
}

/// A client without a memory of its own, which would not keep to our bounds.
fn client(
    servers: ResolverConfig,
    mut options: ResolverOpts,
    config: &Resolving,
) -> io::Result<TokioResolver> {
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.timeout = options.timeout.min(config.timeout / TRIES);
    options.attempts = TRIES as usize - 1;
    let provider = TokioRuntimeProvider::default();
    let builder = TokioResolver::builder_with_config(servers, provider).with_options(options);
    builder.build().map_err(io::Error::other)
}

fn failure(e: &NetError) -> Failure {
    match e {
        NetError::Dns(DnsError::NoRecordsFound(none))
            if matches!(
                none.response_code,
                ResponseCode::NXDomain | ResponseCode::NoError
            ) =>
        {
            let ttl = none.negative_ttl.map(|ttl| Duration::from_secs(ttl.into()));
            Failure::Absent(ttl.unwrap_or(ABSENT_TTL))
        }
        NetError::Proto(e) => failed(io::ErrorKind::InvalidInput, e),
        e => failed(io::ErrorKind::Other, e),
    }
}

fn silent() -> Failure {
    failed(io::ErrorKind::TimedOut, "no DNS server answered in time")
}

fn failed(kind: io::ErrorKind, why: impl ToString) -> Failure {
    Failure::Failed(kind, why.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_dns_server_the_table_of_hosts_still_works() {
        let folder = tempfile::tempdir().unwrap();
        let (conf, hosts) = (folder.path().join("conf"), folder.path().join("hosts"));
        for text in [
            None,
            Some(""),
            Some("# nothing\n"),
            Some("\u{0}nonsense \n"),
        ] {
            if let Some(text) = text {
                fs::write(&conf, text).unwrap();
            }
            let asker = Asker::system(&Resolving::default(), &conf, hosts.clone()).unwrap();
            let e = asker.ask("shelf").await.unwrap_err().about("shelf");
            assert!(e.to_string().contains("no DNS server"), "{e}");
            assert_eq!(asker.ask("localhost").await.unwrap().ips.len(), 2);
            fs::write(&hosts, "10.0.0.7 shelf").unwrap();
            let found = asker.ask("shelf").await.unwrap();
            assert_eq!(found.ips, [IpAddr::from([10, 0, 0, 7])]);
            fs::remove_file(&hosts).unwrap();
        }
    }

    #[test]
    fn what_two_halves_come_to() {
        let ips = |ip: &str| Ok((vec![ip.parse().unwrap()], Duration::from_secs(9)));
        let absent = || Err(Failure::Absent(ABSENT_TTL));
        let lacks = |six, four| joined(six, four).map(|answer| answer.lacks);
        assert_eq!(lacks(ips("::1"), ips("127.0.0.1")), Ok(None));
        assert_eq!(lacks(ips("::1"), absent()), Ok(None));
        assert_eq!(lacks(ips("::1"), Err(silent())), Ok(Some(Family::V4)));
        assert_eq!(lacks(Err(silent()), ips("127.0.0.1")), Ok(Some(Family::V6)));
        assert_eq!(lacks(absent(), absent()), Err(Failure::Absent(ABSENT_TTL)));
        assert_eq!(lacks(absent(), Err(silent())), Err(silent()));
    }
}
