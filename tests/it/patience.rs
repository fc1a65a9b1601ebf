//! Deadlines: no wait of a test is endless, and each says what it waited for.

use std::{future::Future, time::Duration};

/// Awaits, or fails the test with what it waited for.
pub async fn within<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} for {what}"),
    }
}

/// Lets freshness run out: the one thing that only time does. Never a substitute for an event.
pub async fn let_time_pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Generous, since tests share a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);
