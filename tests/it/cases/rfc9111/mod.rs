//! RFC 9111 and its neighbours, clause by clause: `tests/rfc9111.md` names the test of each.

mod age;
mod authorization;
mod cache_status;
pub(super) mod exchange;
mod fields;
mod freshness;
mod invalidation;
mod keys_and_poisoning;
mod methods_and_status;
mod request_directives;
mod stale;
mod storing;
mod table;
mod targeted;
mod trailers;
mod updates;
mod validation;
mod vary;
