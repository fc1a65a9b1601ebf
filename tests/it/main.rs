//! Tidegate over real sockets, against an origin that does as it is told and counts.
//!
//! Every case starts an origin and a Tidegate of its own, on ports that the system chooses and in
//! a directory that goes with it. Nothing waits by sleeping: the origin's log can be awaited, its
//! answers can be held back and let go.

mod browser;
mod child;
mod client;
mod collector;
mod content;
mod dice;
mod failover;
mod front;
mod gate;
mod machine;
mod model;
mod origin;
mod patience;
mod ring;
mod s3;

mod cases {
    mod access;
    mod admin;
    mod api;
    mod bypass;
    mod commands;
    mod conditional;
    mod crowd;
    mod date;
    mod differential;
    mod disk;
    mod errors;
    mod farewell;
    mod first_contact;
    mod following;
    mod freshness;
    mod front_door;
    mod harness;
    mod headers;
    mod interim;
    mod keys;
    mod kill;
    mod leaving;
    mod logs;
    mod monitoring;
    mod origins_failover;
    mod origins_failover_bad;
    mod origins_failover_bodies;
    mod origins_failover_breaker;
    mod origins_failover_storm;
    mod origins_failover_unanswered;
    mod origins_failover_versions;
    mod origins_ways;
    mod pacing;
    mod package;
    mod peers;
    mod players;
    mod prefetch;
    mod purge;
    mod ranges;
    mod regressions;
    mod reload;
    mod reviewed;
    mod rfc9111;
    mod s3;
    mod sizes;
    mod slow_clients;
    mod stale;
    mod status_page;
    mod store_first;
    mod strange_origins;
    mod systemd;
    mod tier;
    mod traces;
    mod trouble;
    mod upgrade;
}
