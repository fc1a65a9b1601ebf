//! One request without a body, from the first server asked to the head of an answer.

use super::{
    Failure, Origin, Part, Upstream,
    attempts::{Attempts, Second},
    client::{Connection, final_head},
    credentials::Identity,
    failure::Cause,
    interim::Interim,
    redirect::{self, Verdict},
    server::{Place, Server},
    stats::{Hedge, Purpose},
    upstream::Leg,
};
use crate::{
    domain::PURGES,
    traces::{TRACEPARENT, TRACESTATE},
    traffic::Urgency,
};
use http::{Method, StatusCode, header};
use pingora_http::{RequestHeader, ResponseHeader};
use std::{sync::Arc, time::SystemTime};

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// What it begins with.
    pub part: Part,
    pub urgency: Urgency,
    pub purpose: Purpose,
    /// Whether a second server may be asked beside a slow one.
    pub may_hedge: bool,
}

/// An answer whose body is still to come.
pub(super) struct Answered {
    pub attempts: Attempts,
    /// Which of the route's origins it comes from: not the last that was asked where that is no
    /// better.
    pub leg: usize,
    pub connection: Connection,
    pub head: ResponseHeader,
}

/// An answer that is passed on if none is better.
struct Spare {
    leg: usize,
    connection: Connection,
    head: ResponseHeader,
}

/// Asks one server after the other until one answers. The request is repeated: it must be
/// idempotent, and without a body. Interim answers are passed on as they come,
/// those of a server that then fails too: they are hints about what is asked for.
pub(super) async fn send_on(
    mut attempts: Attempts,
    ask: Ask,
    asked: &RequestHeader,
    interim: &Interim,
) -> Result<Answered, Failure> {
    // An answer that made another server worth asking, in case that none of them is better.
    let mut spare: Option<Spare> = None;
    let mut broken = false;
    // What one server has done need not be done by the next.
    let may_go_on = asked.method.is_safe();
    loop {
        if let Err(last) = attempts.next().await {
            return match spare {
                Some(spare)
                    if !(broken || attempts.skipped()) || spare.head.status.is_server_error() =>
                {
                    Ok(Answered {
                        attempts,
                        leg: spare.leg,
                        connection: spare.connection,
                        head: spare.head,
                    })
                }
                _ => Err(last),
            };
        }
        let leg = attempts.leg_index();
        // In a place of its own: what connects and shakes hands needs some ten kilobytes, which
        // neither those who wait for their turn nor those who read on are to hold.
        let answered = Box::pin(first_answer(&mut attempts, ask, asked, interim)).await;
        match answered {
            Ok((connection, head)) if may_go_on && attempts.upstream.goes_on(head.status) => {
                let status = head.status;
                let what = format!("{}: {status}", attempts.server_name());
                attempts.failed(Failure::new(Cause::of(&head), what));
                // That it may be there says more than that it is not.
                if spare.as_ref().is_none_or(|kept| kept.head.status <= status) {
                    spare = Some(Spare {
                        leg,
                        connection,
                        head,
                    });
                }
            }
            Ok((connection, head)) => {
                if attempts.upstream.goes_on(head.status) && head.status.is_server_error() {
                    let what = head.status.to_string();
                    attempts.failed(Failure::new(Cause::of(&head), what));
                }
                return Ok(Answered {
                    attempts,
                    leg,
                    connection,
                    head,
                });
            }
            Err(failure) => {
                broken = true;
                attempts.failed(failure);
            }
        }
    }
}

/// The answer of the present server or, where it does not begin in time, of a second one.
async fn first_answer(
    attempts: &mut Attempts,
    ask: Ask,
    asked: &RequestHeader,
    interim: &Interim,
) -> Result<(Connection, ResponseHeader), Failure> {
    let hedges = ask.may_hedge && attempts.upstream.features().hedging;
    let Some(attempt) = attempts.current() else {
        return Err(Failure::new(Cause::Connect, "no server was chosen"));
    };
    let server = attempt.server().clone();
    let placed = attempt.placed(asked, ask.purpose);
    let begun = super::now();
    let (upstream, leg) = (attempts.upstream.clone(), attempts.leg_index());
    let own = ask_server(&upstream, leg, &server, ask.purpose, &placed, interim);
    let late = server.latency(0.95).filter(|_| hedges);
    let answered = match late {
        None => own.await,
        Some(late) => {
            tokio::pin!(own);
            tokio::select! {
                answered = &mut own => answered,
                () = tokio::time::sleep(late) => match attempts.second() {
                    None => own.await,
                    Some(second) => {
                        let raced = race(own, &upstream, leg, second, ask.purpose, asked).await;
                        let origin = &upstream.legs()[leg].origin;
                        let won = raced.won.is_some() && raced.reply.is_ok();
                        let outcome = if won { Hedge::Won } else { Hedge::Lost };
                        upstream.client().stats().hedged(origin.name(), outcome);
                        if let Some(failure) = raced.first_failed {
                            attempts.failed(failure);
                        }
                        if let Some(second) = raced.won {
                            attempts.take(second);
                        }
                        raced.reply
                    }
                },
            }
        }
    };
    let (connection, head) = answered?;
    let now = super::now();
    if let Some(attempt) = attempts.current() {
        let (name, took) = (
            attempt.server().clone(),
            now.saturating_duration_since(begun),
        );
        attempt.head_came(head.status, now);
        // A 404 that makes another server worth asking is a live server's answer all the same, and
        // so is what a cache passes on.
        let is_alive = matches!(Cause::of(&head), Cause::Relayed(_));
        if is_alive || !head.status.is_server_error() {
            attempt.answered(now);
        }
        let origin = upstream.legs()[leg].origin.clone();
        let stats = upstream.client().stats();
        stats.first_byte(origin.name(), name.name(), took);
    }
    Ok((connection, head))
}

type Reply = Result<(Connection, ResponseHeader), Failure>;

/// How two servers have answered.
struct Raced {
    reply: Reply,
    /// The second, where the reply is its.
    won: Option<Second>,
    /// Why the first did not answer.
    first_failed: Option<Failure>,
}

/// Waits for whichever of two servers answers first; a failure waits for the other one.
async fn race(
    first: impl Future<Output = Reply>,
    upstream: &Arc<Upstream>,
    leg: usize,
    mut second: Second,
    purpose: Purpose,
    asked: &RequestHeader,
) -> Raced {
    let passed = Interim::nowhere();
    let server = second.attempt.server().clone();
    let placed = second.attempt.placed(asked, purpose);
    let other = ask_server(upstream, leg, &server, purpose, &placed, &passed);
    tokio::pin!(first, other);
    tokio::select! {
        answered = &mut first => match answered {
            Ok(answered) => Raced { reply: Ok(answered), won: None, first_failed: None },
            Err(failure) => Raced {
                reply: other.await,
                won: Some(second),
                first_failed: Some(failure),
            },
        },
        answered = &mut other => match answered {
            Ok(answered) => Raced { reply: Ok(answered), won: Some(second), first_failed: None },
            Err(failure) => {
                second.attempt.failed(failure.cause, super::now());
                Raced { reply: first.await, won: None, first_failed: None }
            }
        },
    }
}

/// Asks one server, following redirects by its origin's rule.
async fn ask_server(
    upstream: &Arc<Upstream>,
    leg: usize,
    server: &Arc<Server>,
    purpose: Purpose,
    asked: &RequestHeader,
    interim: &Interim,
) -> Reply {
    let leg = &upstream.legs()[leg];
    let origin = &leg.origin;
    let client = upstream.client();
    let unfit = |what: String| Failure::new(Cause::Credentials, what);
    let mut place = server.place().clone();
    let mut request = asked.clone();
    upstream.dress(leg, &place, &mut request).map_err(unfit)?;
    let mut signed = request.clone();
    sign(origin, &place, &mut signed)?;
    let mut followed = 0;
    let home = place.clone();
    loop {
        let own = followed == 0;
        client
            .stats()
            .requested(origin.name(), server.name(), purpose);
        let known = own.then_some(&server.addresses);
        let answered = client.ask(origin, &place, known, &signed, interim).await;
        let connection = answered.map_err(|failure| match own {
            true => failure,
            // Where it leads is not the server's fault.
            false => Failure::new(Cause::Redirect, failure.to_string()),
        })?;
        let mut head = final_head(&connection.wire, server.name())?;
        if let Some(identity) = origin.identity() {
            identity.take_back(&mut head);
        }
        let rules = &origin.config().redirects;
        let follows = rules.limit > 0 && matches!(asked.method, Method::GET | Method::HEAD);
        if !follows || !head.status.is_redirection() || head.status == StatusCode::NOT_MODIFIED {
            return Ok((connection, head));
        }
        let base = format!("{}://{}/", home.scheme(), home.authority);
        let from = format!("{}://{}{}", place.scheme(), place.authority, request.uri);
        let (Ok(base), Ok(from)) = (base.parse(), from.parse()) else {
            return Ok((connection, head));
        };
        let location = head.headers.get(header::LOCATION);
        match redirect::judge(rules, &base, &from, head.status, location, followed) {
            Verdict::PassOn => return Ok((connection, head)),
            Verdict::Refused(reason) => {
                let what = format!("{}: {reason}", server.name());
                return Err(Failure::new(Cause::Redirect, what));
            }
            Verdict::Follow { to, same_host } => {
                followed += 1;
                place = Place::of(&to);
                let target = to.path_and_query().map_or("/", |target| target.as_str());
                let strange =
                    |_| unfit(format!("{}: a redirect to a strange place", server.name()));
                request.set_uri(target.parse().map_err(strange)?);
                match same_host {
                    true => address(origin, &place, &mut request)?,
                    false => estrange(upstream, origin, &place, &mut request).map_err(unfit)?,
                }
                signed = request.clone();
                if same_host {
                    sign(origin, &place, &mut signed)?;
                }
            }
        }
    }
}

/// Turns a request to another host, and takes out what was meant for the origin and is not another's
/// to know.
fn estrange(
    upstream: &Upstream,
    origin: &Origin,
    place: &Place,
    request: &mut RequestHeader,
) -> Result<(), String> {
    let host = http::HeaderValue::try_from(place.authority.as_str());
    let host = host.map_err(|e| e.to_string())?;
    super::upstream::set(request, header::HOST, host)?;
    let rules = &upstream.rules().fields;
    let own = rules.set.iter().chain(&rules.add).map(|(name, _)| name);
    let secret = origin.identity().and_then(Identity::field);
    let named = [
        &header::AUTHORIZATION,
        &header::COOKIE,
        &TRACEPARENT,
        &TRACESTATE,
        &PURGES,
    ];
    for name in own.chain(named).chain(secret) {
        request.remove_header(name);
    }
    Ok(())
}

/// A client's request as it goes to a server.
pub(super) fn dressed(
    upstream: &Upstream,
    leg: &Leg,
    place: &Place,
    asked: &RequestHeader,
) -> Result<RequestHeader, Failure> {
    let mut request = asked.clone();
    let unfit = |what| Failure::new(Cause::Credentials, what);
    upstream.dress(leg, place, &mut request).map_err(unfit)?;
    sign(&leg.origin, place, &mut request)?;
    Ok(request)
}

/// Says which host a request is for.
pub(super) fn address(
    origin: &Origin,
    place: &Place,
    request: &mut RequestHeader,
) -> Result<(), Failure> {
    let host = origin.config().host.as_deref().unwrap_or(&place.authority);
    let unfit = |what: String| Failure::new(Cause::Broken, what);
    let host = http::HeaderValue::try_from(host).map_err(|e| unfit(e.to_string()))?;
    super::upstream::set(request, header::HOST, host).map_err(unfit)
}

/// Says who we are, where it is only read: what a client writes or deletes, it does in its own
/// name.
pub(super) fn sign(
    origin: &Origin,
    place: &Place,
    request: &mut RequestHeader,
) -> Result<(), Failure> {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let Some(identity) = origin.identity().filter(|_| reads) else {
        return Ok(());
    };
    let host = request.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let authority = host.unwrap_or(&place.authority).to_owned();
    identity
        .sign(request, &authority, place.tls, SystemTime::now())
        .map_err(|e| Failure::new(Cause::Credentials, e.to_string()))
}
