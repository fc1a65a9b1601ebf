//! How connections are met, before and around what is asked over them.

mod absence;
mod heads;
mod http2;
mod limits;
mod proxy_header;
mod tls;
