//! What the demo says.

use super::stage::film_url;
use std::{net::SocketAddr, num::NonZeroU64, path::Path};

/// What runs where.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The origin that has the film.
    pub origin: SocketAddr,
    /// The proxy before it.
    pub proxy: SocketAddr,
    /// The operator's address of the proxy.
    pub admin: Option<SocketAddr>,
    /// The ports that were wanted: proxy, admin.
    pub wanted: (u16, u16),
    /// How long the film plays.
    pub seconds: u32,
    /// How long it is in bytes.
    pub length: u64,
    /// What the origin sends at most in a second.
    pub rate: Option<NonZeroU64>,
    /// The directory that holds the film and the cache.
    pub directory: &'a Path,
}

/// The greeting, with the lines to try.
pub fn welcome(places: &Places<'_>) -> String {
    let mut text = surroundings(places);
    text += "\nTo try, in another terminal:\n";
    for (number, (line, shows)) in (1..).zip(lines(places)) {
        text += &format!("\n{number}. {shows}\n\n   {line}\n");
    }
    text += "\nWhat the origin is asked for appears below. Ctrl-C stops and cleans up.\n";
    text
}

fn surroundings(places: &Places<'_>) -> String {
    let speed = places.rate.map_or("at full speed".into(), |rate| {
        format!("at no more than {}/s", megabytes(rate.get()))
    });
    let mut text = format!(
        "\nTidegate is up, with a film to serve ({} s, {}, its index at the end).\n\n  \
         proxy    {}\n  origin   {}, {speed}\n",
        places.seconds,
        megabytes(places.length),
        film_url(places.proxy),
        film_url(places.origin),
    );
    if let Some(admin) = places.admin {
        text += &format!("  status   http://{admin}/ (a page for a browser)\n");
        text += &format!("  metrics  http://{admin}/metrics\n");
    }
    let directory = places.directory.display();
    text += &format!("  files    {directory} (goes when the demo ends)\n");
    let admin = places.admin.map(|address| address.port());
    let ports = [
        (places.wanted.0, Some(places.proxy.port())),
        (places.wanted.1, admin),
    ];
    for (wanted, got) in ports {
        if let Some(got) = got.filter(|got| wanted != 0 && *got != wanted) {
            text += &format!("\nPort {wanted} was taken, so {got} stands in for it.\n");
        }
    }
    text
}

/// Lines to paste, and what each of them shows.
fn lines(places: &Places<'_>) -> Vec<(String, &'static str)> {
    let film = film_url(places.proxy);
    // One megabyte, nine tenths into the film.
    let first = places.length / 10 * 9;
    let last = (first + 999_999).min(places.length.saturating_sub(1));
    let curl = "curl -s -o /dev/null -D - -w '%{http_code}: first byte after \
                %{time_starttransfer} s, %{size_download} bytes in %{time_total} s\\n'";
    let seek = format!("{curl} -r {first}-{last} {film}");
    let mut lines = vec![
        (
            seek.clone(),
            "A cold seek: a megabyte near the end of a film that nobody has asked for yet. It\n   \
             comes at once, and the origin sends a chunk or three instead of the whole film.",
        ),
        (
            seek,
            "The same again: Cache-Status says hit, and the origin hears nothing of it. While the\n   \
             first chunks still come in it may say collapsed: it shares what is under way.",
        ),
        (
            format!("ffplay {film}"),
            "The film itself; a browser shows it as well. Drag the position: each jump is a\n   \
             cold seek until its part of the film is there.",
        ),
        (
            format!("{curl} {film}"),
            "The whole film: the origin sends what is still missing, and no byte twice.",
        ),
    ];
    if let Some(admin) = places.admin {
        lines.push((
            format!("curl -s http://{admin}/metrics | grep ^tidegate_"),
            "What the proxy counted meanwhile.",
        ));
    }
    lines
}

/// What the origin was asked for.
pub fn asked(requests: u64, bytes: u64) -> String {
    let times = if requests == 1 { "request" } else { "requests" };
    format!("origin: {requests} {times}, {} sent", megabytes(bytes))
}

/// What the clients got against what the origin sent.
pub fn summary(served: Option<u64>, requests: u64, bytes: u64) -> String {
    let origin = asked(requests, bytes);
    match served {
        None => origin,
        Some(served) => format!("clients: {} received; {origin}", megabytes(served)),
    }
}

/// Decimal, as curl and browsers count.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places<'static> {
        Places {
            origin: ([127, 0, 0, 1], 4321).into(),
            proxy: ([127, 0, 0, 1], 8080).into(),
            admin: Some(([127, 0, 0, 1], 9090).into()),
            wanted: (8080, 9090),
            seconds: 60,
            length: 33_565_238,
            rate: NonZeroU64::new(8_000_000),
            directory: Path::new("/tmp/demo"),
        }
    }

    #[test]
    fn the_seek_is_near_the_end_and_a_megabyte_long() {
        let text = welcome(&places());
        let seek = "-r 30208707-31208706 http://127.0.0.1:8080/film.mp4\n";
        assert_eq!(text.matches(seek).count(), 2, "{text}");
        assert!(text.contains("at no more than 8.0 MB/s"));
        assert!(!text.contains("was taken"));
        assert!(text.contains("status   http://127.0.0.1:9090/ "), "{text}");
    }

    #[test]
    fn a_port_that_was_taken_is_mentioned() {
        let mut places = places();
        places.proxy.set_port(34567);
        let text = welcome(&places);
        assert!(text.contains("Port 8080 was taken, so 34567 stands in for it."));
        assert!(text.contains("ffplay http://127.0.0.1:34567/film.mp4"));
        places.wanted.0 = 0;
        assert!(!welcome(&places).contains("was taken"));
    }

    #[test]
    fn the_summary_does_without_the_metrics_if_it_must() {
        let all = "clients: 35.5 MB received; origin: 1 request, 3.1 MB sent";
        assert_eq!(summary(Some(35_565_238), 1, 3_145_728), all);
        assert_eq!(summary(None, 2, 0), "origin: 2 requests, 0.0 MB sent");
    }
}
