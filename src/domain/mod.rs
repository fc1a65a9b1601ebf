//! Pure values and decisions of HTTP and of chunked objects.
//!
//! Nothing here touches the world: no clock, no socket, no disk. Text that comes from outside is
//! parsed here once, into types that can then be trusted.

mod as_of;
mod cache_control;
mod chunk_set;
mod content_range;
mod count;
mod date;
mod directives;
mod fields;
mod forwarded;
mod freshness;
mod grid;
mod groups;
mod head;
mod host;
mod inputs;
mod key;
mod lifetime;
mod movie;
mod numbered;
mod partial;
mod precondition;
mod query;
mod range;
mod readings;
mod reuse;
mod selector;
mod signatures;
mod sizes;
mod spelling;
mod tags;
mod template;
mod token;
mod tracking;
mod trust;
mod validator;
mod variant;

pub use as_of::{AsOf, PURGES};
pub use cache_control::{RequestControl, ResponseControl, SURROGATE_CONTROL};
pub use chunk_set::ChunkSet;
pub use content_range::ContentRange;
pub use count::count_of;
pub use date::{date_of, http_date};
pub use directives::{Delta, Directives, Extent, OVERFLOW, seconds};
pub use fields::{FieldRules, Fields};
pub use forwarded::{ForwardedField, X_FORWARDED_FOR, is_relayed};
pub use freshness::{Answer, Freshness, Refusal, judge, vary_names};
pub use grid::{ChunkIndex, ChunkRun, Grid, MOST_CHUNKS, chunk_at};
pub use groups::Groups;
pub use head::{BadHead, check_head};
pub use host::{HostPattern, normal_authority, without_port};
pub use inputs::{cookie, field, unkeyed};
pub use key::{Extra, ExtraKind, ObjectKey};
pub use lifetime::{ContentTtl, FreshnessRules, Overrides, Ttl};
pub use movie::Movie;
pub use numbered::Numbered;
pub use partial::{Fault, Partial, is_coded};
pub use precondition::{Outcome, Preconditions, if_range_holds};
pub use query::{Chosen, QueryRules, Selected};
pub use range::{ByteRange, RangeSet, RangeSpec, Selection};
pub use readings::other_readings;
pub use reuse::{Reuse, Stored, reuse};
pub use selector::{Selector, place_of};
pub use signatures::Signatures;
pub use sizes::Sizes;
pub use spelling::{normal_path, normal_target, split_target};
pub use tags::{LONGEST_TAG, MOST_TAGS, Tags, tag_of};
pub use template::Template;
pub use token::{Bearing, Claim, Flaw, Scope, Token, is_key_name};
pub use trust::Trust;
pub use validator::{EntityTag, Validators, head_agrees, head_differs};
pub use variant::{
    BadValue, Derivative, Derivatives, Kind, OnBad, Parameter, Scale, Steps, Variants, Words,
    is_word, written,
};
