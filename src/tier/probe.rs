//! Whether a tier can be used: tried, not guessed.

use super::{
    config::{Config, OnError},
    fleet::{self, Stranger},
    remote::{Remote, Trouble},
};
use std::time::{Duration, SystemTime};

/// What a probe has found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Without these it can't be used.
    pub wrong: Vec<String>,
    /// With these it can, but not as well.
    pub warnings: Vec<String>,
}

/// Clocks that differ by more make what is fresh on one edge stale on another.
const SKEW: Duration = Duration::from_secs(60);

/// Tries all that an edge will want to do there. What it writes it removes, where it may.
pub async fn probe(remote: &Remote, config: &Config) -> Findings {
    let mut findings = Findings::default();
    if let Err(why) = fleet::claim(remote, &config.fleet).await {
        findings.wrong.push(why.to_string());
    } else if let Err(why) = try_out(remote, config.on_error, &mut findings).await {
        let what = format!("it can be read, but not used as a whole: {why}");
        findings.wrong.push(what);
    }
    findings
}

async fn try_out(
    remote: &Remote,
    on_error: OnError,
    findings: &mut Findings,
) -> Result<(), Trouble> {
    remote.find_out().await?;
    if !remote.creates() && on_error == OnError::Refuse {
        // An edge would not begin.
        findings.wrong.push(Stranger::Unconditional.to_string());
    } else if !remote.creates() {
        findings.warnings.push(
            "it does not know If-None-Match on writes: of two purges by two edges within a second one may not reach all".into(),
        );
    }
    if !remote.compares() {
        findings.warnings.push(
            "it does not know If-Match on writes: what two edges enter about one object within a second may have to be uploaded twice".into(),
        );
    }
    remote.list_all(&remote.layout().purges(), None).await?;
    let path = remote.probe();
    remote.put(path, vec![0].into()).await?;
    let written = remote.written_at(path).await?;
    remote.delete(path).await?;
    let now = SystemTime::now();
    let skew = written.map(|at| now.duration_since(at).unwrap_or_else(|e| e.duration()));
    if let Some(skew) = skew.filter(|skew| *skew > SKEW) {
        findings.warnings.push(format!(
            "its clock and this machine's differ by {} s: what is fresh here may be stale on other edges; set this clock (NTP)",
            skew.as_secs()
        ));
    }
    Ok(())
}
