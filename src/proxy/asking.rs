//! Asking the origin, and asking again in another way.

use super::{
    context::{Contact, Context},
    first_contact::{self, Step},
    foundation::Proxy,
};
use crate::{cache::OF_THE_REQUEST, origin::Call};
use http::{StatusCode, request::Parts};
use pingora_cache::NoCacheReason;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

impl Proxy {
    /// Makes of the head of an answer what can be passed on and perhaps stored, or has the origin
    /// asked again.
    pub(super) fn first_contact(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let was_part = ctx.window.is_some() && response.status == StatusCode::PARTIAL_CONTENT;
        match first_contact::prepare(response, ctx)? {
            Step::Go if was_part => {
                // A part that is not to be stored is of no use to the client: it asked otherwise.
                let judged = self.judge(session, response, ctx);
                judged.map(|_| ()).or_else(|refusal| {
                    give_up_storing(session, first_contact::reason(StatusCode::OK, refusal));
                    ask_again(ctx, Contact::Own)
                })
            }
            Step::Go => Ok(()),
            Step::Again(contact) => {
                if contact == Contact::Own {
                    give_up_storing(session, NoCacheReason::Custom(OF_THE_REQUEST));
                }
                ask_again(ctx, contact)
            }
            // Only a range can be answered in the client's own words with less than the whole.
            Step::Untrusted(Contact::Own) if ctx.asked.range().is_none() => {
                ask_again(ctx, Contact::Whole)
            }
            Step::Untrusted(contact) => {
                self.storage.fills().stats().lies.inc();
                if contact == Contact::Own {
                    give_up_storing(session, NoCacheReason::OriginNotCache);
                }
                ask_again(ctx, contact)
            }
            Step::Unsatisfiable => {
                ctx.drops_body = true;
                first_contact::answer_unsatisfiable(response)
            }
        }
    }
}

/// An answer that made us ask in another way.
const ASK_AGAIN: ErrorType = ErrorType::new("AskAgain");

/// Nothing of this answer is stored; whether the key is remembered for it depends on the reason.
fn give_up_storing(session: &mut Session, reason: NoCacheReason) {
    session.cache.response_became_uncacheable(reason);
    session.cache.disable(reason);
}

/// Gives the request back to Pingora's loop, to be sent again in another way.
fn ask_again(ctx: &mut Context, contact: Contact) -> Result<()> {
    ctx.contact = contact;
    ctx.incoming = None;
    let mut e = Error::explain(ASK_AGAIN, "the origin is asked in another way").into_up();
    e.set_retry(true);
    Err(e)
}

/// Puts what the session needs to know beside a request's head.
pub fn attach(request: &mut RequestHeader, call: Call) {
    let mut parts: Parts = request.clone().into();
    parts.extensions.insert(call);
    *request = parts.into();
}

/// A target as a URI.
pub fn uri(target: &str) -> Result<http::Uri> {
    let wrong = |e| Error::because(ErrorType::InvalidHTTPHeader, "request target", e);
    target.parse().map_err(wrong)
}
