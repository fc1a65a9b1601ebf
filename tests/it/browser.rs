//! A browser without a window, driven over its DevTools protocol: one page at a time.
//!
//! The protocol goes over a pair of pipes, so that nothing listens anywhere: messages are JSON, each
//! with a zero byte behind it (Chromium's `--remote-debugging-pipe`). The shell puts the pipes where
//! the browser expects them.

use crate::patience::within;
use serde_json::{Value, json};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A running browser with one page open.
pub struct Browser {
    process: Child,
    orders: ChildStdin,
    messages: BufReader<ChildStdout>,
    session: String,
    count: u64,
    complaints: Vec<String>,
    // Last, so that the profile goes after who writes it.
    profile: TempDir,
}

const SWITCHES: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "about:blank",
];

impl Browser {
    /// Starts Debian's Chromium, which has to be there, and opens a page.
    pub async fn open(url: &str) -> Self {
        Self::open_as(url, &[]).await
    }

    /// The same, with fields that all its requests bear.
    pub async fn open_as(url: &str, fields: &[(&str, &str)]) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#, "sh"])
            .arg("chromium")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(SWITCHES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let orders = process.stdin.take().unwrap();
        let messages = BufReader::new(process.stdout.take().unwrap());
        let mut browser = Self {
            process,
            orders,
            messages,
            session: String::new(),
            count: 0,
            complaints: Vec::new(),
            profile,
        };
        let target = browser
            .order("Target.createTarget", json!({"url": "about:blank"}))
            .await;
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.order("Target.attachToTarget", target).await;
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Runtime", "Log", "Page"] {
            browser.order(&format!("{domain}.enable"), json!({})).await;
        }
        if !fields.is_empty() {
            browser.order("Network.enable", json!({})).await;
            let fields: serde_json::Map<_, _> = fields
                .iter()
                .map(|(name, value)| (name.to_string(), json!(value)))
                .collect();
            let fields = json!({"headers": fields});
            browser.order("Network.setExtraHTTPHeaders", fields).await;
        }
        browser.order("Page.navigate", json!({"url": url})).await;
        browser
    }

    /// The value of an expression in the page; a promise is waited for.
    pub async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let answer = self.order("Runtime.evaluate", asked).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub async fn until(&mut self, what: &str, expression: &str) {
        // The page may be another one by the time the answer would come.
        let look = format!(
            "new Promise((done) => {{ const look = () => ({expression}) ? done(true) : setTimeout(look, 20); look(); }})"
        );
        let waited = self.value(&look);
        let found = tokio::time::timeout(crate::patience::DEADLINE, waited).await;
        if found.is_err() {
            panic!(
                "waited for {what}; the page complains of {:?}",
                self.complaints
            );
        }
    }

    /// Errors and warnings on the page's console so far, what its policy forbade among them.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Ends it in good order, with all its processes.
    pub async fn close(mut self) {
        self.session.clear();
        self.order("Browser.close", json!({})).await;
        let ended = within("the browser to end", self.process.wait()).await;
        ended.unwrap();
        drop(self.profile);
    }

    async fn order(&mut self, method: &str, parameters: Value) -> Value {
        self.count += 1;
        let mut order = json!({"id": self.count, "method": method, "params": parameters});
        if !self.session.is_empty() {
            order["sessionId"] = json!(self.session);
        }
        let mut written = serde_json::to_vec(&order).unwrap();
        written.push(0);
        self.orders.write_all(&written).await.unwrap();
        loop {
            let message = self.message(method).await;
            if message["id"] == self.count {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    async fn message(&mut self, what: &str) -> Value {
        let mut read = Vec::new();
        let length = within(what, self.messages.read_until(0, &mut read)).await;
        assert!(
            length.unwrap() > 0,
            "chromium is not there, or has ended: the tests need Debian's package chromium"
        );
        read.pop();
        serde_json::from_slice(&read).unwrap()
    }

    fn note(&mut self, event: &Value) {
        let told = &event["params"];
        let complains = match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => true,
            "Runtime.consoleAPICalled" => told["type"] != "log",
            "Log.entryAdded" => told["entry"]["level"] != "info",
            _ => false,
        };
        if complains {
            self.complaints.push(told.to_string());
        }
    }
}
