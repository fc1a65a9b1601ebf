//! Tidegate: a caching edge proxy for video and every other large object.
//!
//! It stands in front of an HTTP origin, streams what passes to the client while keeping it, and
//! from then on serves any byte range of any object from the chunks that it has, fetching only
//! those that it lacks. An object is a *manifest* and a sparse set of *chunks* on a fixed grid.
//!
//! # The house
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
//! | [`tier`] | an object store that edges share, before the origins |
//! | [`cache`] | pingora-cache's face: storage, reader, writer |
//! | [`proxy`] | Pingora's face: the hooks, keys, policy, errors to statuses |
//! | [`admin`] | the operator's face: the status page, the API, metrics, health |
//! | [`config`] | the file turned into checked settings |
//! | [`server`] | building, running, reloading, draining |
//! | [`demo`] | everything on loopback, for a first look |
//!
//! # The ways of a request
//!
//! ```text
//!  client ──► server: the door ──► proxy: the hooks, in the order of hooks.rs
//!                                    │ is it one? whose route? may it? what key?
//!                                    ▼
//!                              cache: look-up ◄───────────────┐ again, once it may be there
//!                                │        │                   │
//!                          found │        │ not found ──► pingora's lock: one goes, all others wait
//!                                ▼        ▼
//!           fresh, or stale and allowed   the first request goes to the origin: for the whole, or
//!           │    stale ──► revalidation   for the window of chunks around what was asked;
//!           ▼              (304: goes on) what may be stored is teed into the store
//!     fill: a cursor per reader                            │
//!       chunk on disk ─────► store: read                   │ cache: writer ──► fill: intake
//!       chunk coming in ───► follow its buffer ◄───────────┘                      │
//!       chunk nowhere ─────► claim it: one flight ──► source ──► fill: intake ────┤
//!           │                for each run of chunks   │                           ▼
//!           ▼                                         ├─► tier, if it has it   store: keep
//!     segments, paced ──► client                      └─► origin                  │
//!                                                                    tier: upload, behind
//! ```
//!
//! * **Hit.** All chunks are on disk: no lock, no origin; each segment is read when the one before
//!   it has gone out.
//! * **Miss.** The client's own request brings chunks in and reads them on the way, byte for byte as
//!   they come. When it leaves, [`fill::FinishWhen`] says whether they go on coming.
//! * **Miss beside a miss.** Whoever waits for the lock looks up again when the head has come, and
//!   finds an object of which chunks are coming: from then on it is a reader like any other.
//! * **Range.** The first request for an object asks for whole chunks around the range, and learns
//!   the length from `Content-Range`; later ones only for chunks that nobody has. `If-Range` and a
//!   check of each 206 keep versions apart.
//! * **Stale.** One request revalidates, the others get what is there where that is allowed. A 304
//!   leaves the chunks; another version is another generation of the object, beside the old one
//!   until its last reader has left.
//! * **Not stored.** What may not be stored passes by, and the next such request does not wait.
//!
//! # Words
//!
//! The terms of HTTP are those of RFC 9110 and 9111. The house's own, from the ground up:
//!
//! | word | what is meant |
//! |---|---|
//! | key, place | what a request's object is stored under; of it, host, path and query, by which purges find it |
//! | variant | one of several objects of a place: by `Vary`, by a derivative of it, by the cache's version |
//! | generation | one version of an object, with a number of its own: bytes of two never mix |
//! | grid, chunk | a generation is cut at multiples of `chunk_size`; a chunk is there as a whole or not at all |
//! | manifest, body | the two files of a generation: what it is, and its chunks at their places |
//! | segment | what is read for a client at a time, and held until its socket has taken it |
//! | fill | the bringing in of chunks that lack, whoever caused it |
//! | flight | one answer on its way in, and the run of chunks that it is to bring |
//! | claim | a reader's question for a chunk that is not there: it begins a flight, waits for one, or hears that it is lost |
//! | intake | the way of an answer's bytes into chunks: to the readers at once, to the disk behind |
//! | board | what goes on around one generation: its flights, chunks coming in, readers |
//! | cursor | one reader's way through a generation |
//! | share | the bytes of `fill.in_flight` that a chunk holds until it is on disk |
//! | window | the chunks that a first request, or reading ahead, asks for beyond what is wanted at once |
//! | server, origin, leg | who is asked; servers with the same content; an origin in a route's list |
//! | hedge | a second server asked for the same, as the first is late (Dean and Barroso, The Tail at Scale, 2013) |
//! | run | neighbouring chunks that lie in the tier as one object |
//!
//! # To add a source
//!
//! Chunks come from a [`source::Source`]: the origins are one, and the tier is one that stands before
//! them. Fills know no more of it than this trait.
//!
//! 1. Implement it in a room of its own, which may import [`domain`], [`traffic`] and [`source`]. Every
//!    wait has a deadline, and an answer to a part says the same as an origin would: 206 with
//!    `Content-Range` and the validator. A fill checks it and takes nothing else.
//! 2. Have `server/build.rs` make it from the settings, and put it before a route's origins: where it
//!    knows objects that are not stored here it is a [`fill::Catalogue`] as well, as the tier is.
//! 3. If it can take chunks, implement [`source::Sink`] and hand it to `Fills::offer_to`.
//! 4. Its keys stand in `conf/tidegate.yaml`, its metrics in the registry of [`admin`], its room in
//!    `tests/layers.rs`; a test fails for each of these that is forgotten.
//! 5. Cases in `tests/it` with a source that stalls, cuts and lies.
//!
//! The least that there is, one object in memory:
//!
//! ```
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use http::{HeaderMap, StatusCode, header};
//! use std::{any::Any, sync::Arc};
//! use tidegate::{
//!     domain::Groups,
//!     source::{Answer, Body, Ranged, Request, Source, SourceError},
//!     traffic::Urgency,
//! };
//!
//! #[derive(Debug)]
//! struct Shelf(Bytes);
//!
//! struct Rest(Option<Bytes>);
//!
//! #[async_trait]
//! impl Body for Rest {
//!     async fn next(&mut self) -> Result<Option<Bytes>, SourceError> {
//!         Ok(self.0.take())
//!     }
//! }
//!
//! #[async_trait]
//! impl Source for Shelf {
//!     async fn fetch(
//!         self: Arc<Self>,
//!         _: &Request,
//!         ranged: Option<&Ranged>,
//!         _: Urgency,
//!     ) -> Result<Answer, SourceError> {
//!         let mut headers = HeaderMap::new();
//!         headers.insert(header::ETAG, "\"1\"".parse().unwrap());
//!         let (status, bytes) = match ranged {
//!             None => (StatusCode::OK, self.0.clone()),
//!             Some(Ranged { range, total, .. }) => {
//!                 let field = format!("bytes {}-{}/{total}", range.start(), range.last());
//!                 headers.insert(header::CONTENT_RANGE, field.parse().unwrap());
//!                 let part = range.start() as usize..range.end() as usize;
//!                 (StatusCode::PARTIAL_CONTENT, self.0.slice(part))
//!             }
//!         };
//!         let body = Box::new(Rest(Some(bytes)));
//!         Ok(Answer { status, headers, body })
//!     }
//!
//!     /// Nothing has to be connected to.
//!     fn prepare(self: Arc<Self>, _: &Request) -> Option<Box<dyn Any + Send + Sync>> {
//!         None
//!     }
//!
//!     /// All of an object comes from one place.
//!     fn groups(&self) -> Groups {
//!         Groups::ONE
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let shelf = Arc::new(Shelf("a film".into()));
//! let request = Request {
//!     target: "/film".into(),
//!     headers: HeaderMap::new(),
//!     key: 0,
//!     trail: None,
//! };
//! let mut answer = shelf.fetch(&request, None, Urgency::Range).await?;
//! assert_eq!(answer.body.next().await?, Some("a film".into()));
//! # Ok::<(), SourceError>(())
//! # }).unwrap();
//! ```

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
