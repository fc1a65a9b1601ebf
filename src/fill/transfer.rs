//! The detached task that brings a run of chunks in.

use super::{
    Errand, FillError, Fills, Flow,
    board::{Board, Claim},
    flights::FlightId,
    intake::Intake,
    now,
    verdict::{Verdict, judge},
};
use crate::{
    domain::{ByteRange, ChunkIndex, ChunkRun},
    source::{Answer, Body, Ranged, SourceError},
    traffic::Urgency,
};
use http::{HeaderMap, header};
use std::{sync::Arc, time::Duration};

/// One flight, from the request to its landing.
pub(super) async fn fly(
    fills: Arc<Fills>,
    board: Arc<Board>,
    errand: Errand,
    run: ChunkRun,
    flight: FlightId,
    urgency: Urgency,
) {
    let intake = Intake::new(fills.clone(), board.clone(), flight, run.start);
    let mut intake = intake.on_behalf_of(errand.client);
    match bring(&fills, &board, &errand, run, urgency, &mut intake).await {
        Ok(()) => intake.finish().await,
        // Nobody waited for it, so it is nobody's failure.
        Err(FillError::NotAsked(_)) if urgency == Urgency::ReadAhead => intake.finish().await,
        Err(why) => {
            log::debug!(
                "fill of {} from chunk {}: {why}",
                board.object().id(),
                run.start.0
            );
            intake.fail(why);
        }
    }
}

async fn bring(
    fills: &Arc<Fills>,
    board: &Arc<Board>,
    errand: &Errand,
    run: ChunkRun,
    urgency: Urgency,
    intake: &mut Intake,
) -> Result<(), FillError> {
    let object = board.object();
    let mut part = board.part(run).ok_or(FillError::Lost)?;
    let (asked, total) = (part.range, part.total);
    let stored = object.validators();
    let in_parts = board.comes_in_parts();
    if urgency == Urgency::ReadAhead && fills.is_pressed() {
        return Err(FillError::NotAsked(Duration::ZERO));
    }
    let judge = |head: &Answer| judge(head.status, &head.headers, asked, total, &stored);
    let ranged = Some(&part).filter(|_| in_parts);
    let Some(answer) = ask(board, errand, ranged, urgency).await else {
        return Ok(());
    };
    let mut answer = answer?;
    let by_caches = came_by_caches(&answer.headers);
    if by_caches && in_parts && judge(&answer) == Verdict::Changed {
        // It may be that cache that is behind: the origin's word decides.
        fills.stats.disputes.inc();
        part.past_caches = true;
        let Some(confirmed) = ask(board, errand, Some(&part), urgency).await else {
            return Ok(());
        };
        answer = confirmed?;
    }
    match judge(&answer) {
        Verdict::Part => stream(answer.body, asked, intake).await,
        Verdict::Whole => {
            board.comes_whole();
            let all = object
                .grid()
                .and_then(|grid| grid.all())
                .ok_or(FillError::Lost)?;
            intake.start_over(all);
            let bytes = ByteRange::new(0, total).ok_or(FillError::Lost)?;
            stream(answer.body, bytes, intake).await
        }
        Verdict::Changed => {
            if by_caches {
                fills.doubts.note(errand.request.key);
            }
            board.end(FillError::Changed);
            fills.store().remove(object);
            Err(FillError::Changed)
        }
        Verdict::Refused(status) => Err(FillError::Refused(status)),
        Verdict::Lying(fault) => {
            fills.stats.lies.inc();
            // What it says of parts can't be trusted; of the whole, perhaps.
            board.comes_whole();
            Err(FillError::Lying(fault))
        }
    }
}

async fn ask(
    board: &Board,
    errand: &Errand,
    ranged: Option<&Ranged>,
    urgency: Urgency,
) -> Option<Result<Answer, SourceError>> {
    let fetch = errand
        .source
        .clone()
        .fetch(&errand.request, ranged, urgency);
    unless_deserted(board, urgency, fetch).await
}

/// Whether an answer has passed a cache, whose word may be an old one (RFC 9111, section 5.1; RFC
/// 9211, section 2).
fn came_by_caches(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AGE) || headers.contains_key("cache-status")
}

/// Waits for an answer as long as somebody wants it: what waits in a queue for nobody holds a place
/// there. A reader that seeks leaves and is back at once, hence the pause.
async fn unless_deserted<T>(
    board: &Board,
    urgency: Urgency,
    answer: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(answer);
    let mut deserted = false;
    loop {
        tokio::select! {
            answer = &mut answer => return Some(answer),
            () = tokio::time::sleep(DESERTED), if urgency != Urgency::Completion => {
                let wanted = board.is_wanted();
                if deserted && !wanted {
                    return None;
                }
                deserted = !wanted;
            }
        }
    }
}

/// After two such pauses without a reader nobody is expected back.
const DESERTED: Duration = Duration::from_millis(400);

/// Takes in the bytes of `expected`, no more and no fewer, as long as anybody wants them.
async fn stream(
    mut body: Box<dyn Body>,
    expected: ByteRange,
    intake: &mut Intake,
) -> Result<(), FillError> {
    while let Some(bytes) = body.next().await? {
        if intake.offset() + bytes.len() as u64 > expected.end() {
            return Err(FillError::Broken("more bytes than announced".into()));
        }
        if intake.push(bytes).await? == Flow::Stop || intake.is_idle() {
            return Ok(());
        }
    }
    match intake.offset() == expected.end() {
        true => Ok(()),
        false => Err(FillError::Broken("fewer bytes than announced".into())),
    }
}

/// Brings in whatever lacks of an object that nobody reads any more.
pub(super) async fn complete(fills: Arc<Fills>, board: Arc<Board>, errand: Errand) {
    let mut next = ChunkIndex(0);
    while let Some(grid) = board.object().grid().filter(|grid| next.0 < grid.count()) {
        if board.ended().is_some() || board.object().is_retired() {
            break;
        }
        board.passed(next).await;
        let window = (fills.config().max_window / u64::from(grid.chunk_size())).max(1) as u32;
        let limit = ChunkIndex(next.0.saturating_add(window).min(grid.count()));
        let groups = errand.source.groups();
        let limit = groups.limit(grid.chunk_size(), next, limit);
        match board.claim(next, limit, now()) {
            Claim::Lost => break,
            Claim::Wait => next = next.next(),
            Claim::Fetch(run, flight) => {
                let (failed_before, _) = board.failures(next);
                let (fills, own, errand) = (fills.clone(), board.clone(), errand.clone());
                fly(fills, own, errand, run, flight, Urgency::Completion).await;
                if board.failures(next).0 != failed_before {
                    break;
                }
                next = run.end;
            }
        }
    }
    board.completed();
}
