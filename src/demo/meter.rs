//! Reads one number from the metrics of the running proxy, as an operator's Prometheus would.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The sum of a metric over all its labels; nothing if it cannot be had in time.
pub async fn total(admin: SocketAddr, metric: &str) -> Option<u64> {
    let page = timeout(WAIT, fetch(admin)).await.ok()?.ok()?;
    sum(&page, metric)
}

async fn fetch(admin: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = String::new();
    stream.take(LARGEST).read_to_string(&mut page).await?;
    Ok(page)
}

fn sum(page: &str, metric: &str) -> Option<u64> {
    page.lines()
        .filter_map(|line| line.strip_prefix(metric))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .map(|value| value as u64)
        .reduce(|all, one| all.saturating_add(one))
}

/// Longest wait for the metrics: a summary without them is better than none.
const WAIT: Duration = Duration::from_secs(2);
/// Far more than all metrics take.
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "HTTP/1.1 200 OK\r\n\r\n\
        # HELP sent_total Bytes.\n\
        sent_total{kind=\"hit or so\"} 1e3\n\
        sent_total{kind=\"miss\"} 24\n\
        sent_total_other 7\n\
        plain 5\n";

    #[test]
    fn labels_are_added_up_and_other_names_left_out() {
        assert_eq!(sum(PAGE, "sent_total"), Some(1024));
        assert_eq!(sum(PAGE, "plain"), Some(5));
        assert_eq!(sum(PAGE, "sent"), None);
    }

    #[tokio::test]
    async fn the_page_comes_over_http() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 16];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, b"GET /metrics HTT");
            stream.write_all(PAGE.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // Closed only after all of the request has been read, or the answer would be lost.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        assert_eq!(total(address, "sent_total").await, Some(1024));
    }
}
