//! Prometheus beside Tidegate: the real one reads its metrics and its rules.

use crate::{
    client::{Client, Request},
    gate::{CHUNK, Gate},
    origin::{Origin, Script},
    patience::{let_time_pass, within},
};
use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};

/// Where the files for Prometheus are.
fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/prometheus")
}

/// Runs `promtool`, which comes with Prometheus; it must find nothing to say against.
async fn promtool(arguments: &[&str], input: &str) {
    let mut promtool = Command::new("promtool")
        .args(arguments)
        .current_dir(rules())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("promtool, of Debian's package prometheus, is there");
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = within("promtool", promtool.wait_with_output())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// A Tidegate that has something to tell.
async fn busy(origin: &Origin) -> Gate {
    let gate = Gate::before(origin).await;
    gate.bytes("/film", 0, 9).await;
    gate.get("/film").await;
    gate.get("/nowhere").await;
    gate
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_wrong_with_metrics_and_alerts() {
    let origin = Origin::with(Script::new(150, 4 * CHUNK)).await;
    let gate = busy(&origin).await;
    promtool(&["check", "metrics"], &gate.metrics().await).await;
    promtool(&["check", "config", "--syntax-only", "prometheus.yaml"], "").await;
    promtool(&["check", "rules", "tidegate.rules.yaml"], "").await;
    promtool(&["test", "rules", "tidegate.rules.test.yaml"], "").await;
}

#[test]
fn each_alert_is_tested() {
    let read = |name| fs::read_to_string(rules().join(name)).unwrap();
    let (alerts, tests) = (
        read("tidegate.rules.yaml"),
        read("tidegate.rules.test.yaml"),
    );
    let named = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let named: Vec<_> = named.collect();
    assert!(!named.is_empty());
    for alert in named {
        assert!(tests.contains(alert), "{alert} is not in the tests");
    }
}

/// The words of a text that begin so.
fn words<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(move |c| !is_name(c));
    words.filter(move |word| word.starts_with(begin))
}

/// The names of metrics that stand in the sources, in quotes.
fn names_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names_in(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let quoted = text.split('"').filter(|word| word.starts_with("tidegate_"));
        names.extend(quoted.map(str::to_owned));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_name_metrics_that_there_are() {
    let mut known = BTreeSet::new();
    names_in(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut known,
    );
    let origin = Origin::with(Script::new(152, CHUNK)).await;
    let page = busy(&origin).await.metrics().await;
    known.extend(words(&page, "process_").map(str::to_owned));
    for file in [
        "tidegate.rules.yaml",
        "tidegate.rules.test.yaml",
        "grafana.json",
    ] {
        let text = fs::read_to_string(rules().join(file)).unwrap();
        let named = words(&text, "tidegate_").chain(words(&text, "process_"));
        let mut seen = 0;
        for name in named {
            let parts = ["_bucket", "_sum", "_count"];
            let family = parts.iter().find_map(|part| name.strip_suffix(part));
            let is_known = known.contains(name) || family.is_some_and(|it| known.contains(it));
            assert!(is_known, "{file}: there is no {name}");
            seen += 1;
        }
        assert!(seen > 15, "{file}");
    }
}

/// A Prometheus that reads one Tidegate.
struct Prometheus {
    _process: Child,
    _messages: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

impl Prometheus {
    async fn watching(directory: &Path, gate: &Gate) -> Self {
        let file = directory.join("prometheus.yaml");
        let config = fs::read_to_string(rules().join("prometheus.yaml")).unwrap();
        let config = config
            .replace("127.0.0.1:9090", &gate.admin_address().to_string())
            .replace("15s", "100ms")
            .replace("[tidegate", &format!("[{}/tidegate", rules().display()));
        fs::write(&file, config).unwrap();
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus, Debian's package, is there");
        let mut messages = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = within("Prometheus to listen", async {
            loop {
                let line = messages.next_line().await.unwrap();
                let line = line.expect("it says where it listens");
                let said = line.split_once("msg=\"Listening on\" address=");
                if let Some((_, address)) = said {
                    return address.trim().parse().unwrap();
                }
            }
        });
        Self {
            address: address.await,
            _process: process,
            _messages: messages,
        }
    }

    /// What its API says.
    async fn ask(&self, target: &str) -> String {
        let mut client = Client::connect(self.address).await;
        let answer = client.ask(&Request::get(target)).await;
        String::from_utf8(answer.body).unwrap()
    }

    /// Asks until the answer has all these words: it reads at times of its own.
    async fn says(&self, target: &str, words: &[&str]) {
        let asking = async {
            loop {
                let said = self.ask(target).await;
                if words.iter().all(|word| said.contains(word)) {
                    return;
                }
                let_time_pass(Duration::from_millis(50)).await;
            }
        };
        within(&format!("{words:?} from {target}"), asking).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_reads_the_metrics_and_evaluates_the_alerts() {
    let origin = Origin::with(Script::new(151, 4 * CHUNK)).await;
    let gate = busy(&origin).await;
    let directory = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::watching(directory.path(), &gate).await;
    let sent = "/api/v1/query?query=sum(tidegate_response_body_bytes_total)";
    let bytes = gate.metric("response_body_bytes_total").await;
    let value = format!(",\"{bytes}\"]");
    prometheus
        .says(sent, &["\"status\":\"success\"", &value])
        .await;
    prometheus
        .says("/api/v1/query?query=up", &[",\"1\"]"])
        .await;
    let rules = ["TidegateOriginDown", "\"health\":\"ok\""];
    prometheus.says("/api/v1/rules?type=alert", &rules).await;
    let none = "/api/v1/query?query=count(ALERTS)%20or%20vector(0)";
    prometheus.says(none, &[",\"0\"]"]).await;
}
