//! Tidegate: a caching edge proxy for video and every other large object.
//!
//! It stands in front of an HTTP origin, streams what passes to the client while keeping it, and
//! from then on serves any byte range of any object from the chunks that it has, fetching only
//! those that it lacks. An object is a *manifest* and a sparse set of *chunks* on a fixed grid.
//!
//! The rooms, from the ground up; imports point down only (`tests/layers.rs` proves it):
//!
//! | room | what it is for |
//! |---|---|
//! | [`domain`] | pure: ranges, the chunk grid, chunk sets, validators, preconditions |
//! | [`traffic`] | pure: who may go, when, how long |
//! | [`store`] | the disk: layout, codec, data files, eviction, recovery |
//! | [`secret`] | secrets, and where they come from |
//! | [`logs`] | what the process says of itself: messages, and a line for each request |
//! | [`traces`] | what became of single requests, step by step, told to a collector |
//! | [`source`] | the seam between fills and where missing chunks come from |
//! | [`origin`] | the origins as a [`source::Source`] |
//! | [`fill`] | each missing chunk once: flights, read-ahead, the transfer task |
//! | [`cache`] | pingora-cache's face: storage, reader, writer |
//! | [`proxy`] | Pingora's face: the hooks, keys, policy, errors to statuses |
//! | [`admin`] | the operator's face: the status page, the API, metrics, health |
//! | [`config`] | the file turned into checked settings |
//! | [`server`] | building, running, reloading, draining |
//! | [`demo`] | everything on loopback, for a first look |

pub mod admin;
pub mod cache;
pub mod config;
pub mod demo;
pub mod domain;
pub mod fill;
pub mod logs;
pub mod origin;
pub mod proxy;
pub mod secret;
pub mod server;
pub mod source;
pub mod store;
pub mod tier;
pub mod traces;
pub mod traffic;
