//! `tidegate sign`: a URL or a cookie that its route lets in.

use super::{Done, say};
use clap::Args;
use std::{net::IpAddr, path::PathBuf, time::Duration, time::SystemTime};
use tidegate::{
    config,
    proxy::{Wish, sign},
};

/// What to sign, and by which configuration.
#[derive(Args)]
pub struct Sign {
    /// The URL, as clients ask for it
    url: String,
    /// The configuration whose route takes it, with the keys in access.signed
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How long it is good, such as 90s, 1h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    expires_in: Duration,
    /// Good for everything below this path, such as /films/7/, not for the URL's alone
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Good for requests from this address only
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// The key to sign with, if not the first
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Print the value of a Set-Cookie field in place of the URL
    #[arg(long)]
    cookie: bool,
}

/// Prints the signed URL, or the cookie.
pub fn run_sign(asked: Sign) -> Done {
    let routes = config::load(&asked.config)?.routes;
    let wish = Wish {
        url: asked.url,
        lasts: asked.expires_in,
        prefix: asked.prefix,
        address: asked.address,
        key: asked.key,
    };
    let pass = sign(&routes, &wish, SystemTime::now())?;
    let signed = match asked.cookie {
        true => pass
            .cookie()
            .ok_or("its route takes no cookie: access.signed.cookie names one")?,
        false => pass.url(),
    };
    say(&format!("{signed}\n"))
}
