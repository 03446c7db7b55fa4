//! How late after `exp` sessions end, when thousands of tokens expire together.

use crate::Arguments;
use crate::client::{Dialer, Session};
use crate::gateway::Gateway;
use crate::rig::{Failure, percentile};
use crate::token::now;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;

/// Handshakes at a time.
const OPENED_AT_ONCE: usize = 64;
/// A session that goes on for so long after its token never ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// What they are closed with.
const EXPIRED: u16 = 3000;

/// When tokens expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// All at once, as those do that were issued in one second.
    Same,
    /// One after the other.
    WithinASecond,
}

/// Milliseconds from `exp` to the Close, of each session, in order.
pub(crate) struct Lateness {
    moment: Moment,
    late: Vec<f64>,
    /// From the first `exp` to the last Close.
    cpu: Duration,
    memory: u64,
}

pub(crate) async fn measure(
    arguments: &Arguments,
    gateway: &Gateway,
    dialer: &Dialer,
    moment: Moment,
) -> Result<Lateness, Failure> {
    let count = arguments.sessions;
    let first = (now()? + arguments.ahead as f64).ceil();
    let exp = |number: usize| match moment {
        Moment::Same => first,
        Moment::WithinASecond => first + number as f64 / count as f64,
    };
    let mut opening = JoinSet::new();
    let mut sessions = JoinSet::new();
    for number in 0..count {
        let token = gateway.issuer.token(number, exp(number))?;
        let (dialer, end) = (dialer.clone(), exp(number));
        opening.spawn(async move { Ok::<_, Failure>((open(&dialer, &token).await?, end)) });
        if opening.len() == OPENED_AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            let (session, end) = opened??;
            sessions.spawn(wait(session, end));
        }
    }
    while let Some(opened) = opening.join_next().await {
        let (session, end) = opened??;
        sessions.spawn(wait(session, end));
    }
    if now()? + 1.0 > first {
        return Err("they were not open in time: give them more with --ahead".into());
    }
    let (before, memory) = (gateway.cpu()?, gateway.memory()?);
    let mut late = Vec::with_capacity(count);
    while let Some(ended) = tokio::time::timeout(
        PATIENCE + Duration::from_secs(arguments.ahead),
        sessions.join_next(),
    )
    .await?
    {
        late.push(ended??);
    }
    late.sort_by(f64::total_cmp);
    Ok(Lateness {
        moment,
        late,
        cpu: gateway.cpu()?.saturating_sub(before),
        memory,
    })
}

async fn open(dialer: &Dialer, token: &str) -> Result<Session, Failure> {
    let line = format!("Authorization: Bearer {token}\r\n");
    dialer.enter("/token/", &line).await
}

/// Milliseconds after `end` in which the Close came.
async fn wait(mut session: Session, end: f64) -> Result<f64, Failure> {
    let code = session.closed().await?;
    let late = (now()? - end) * 1000.0;
    match code {
        EXPIRED => session.leave(code).await?,
        _ => return Err(format!("closed with {code}").into()),
    }
    Ok(late)
}

impl Lateness {
    fn at(&self, percent: usize) -> f64 {
        percentile(&self.late, percent).unwrap_or_default()
    }

    fn least(&self) -> f64 {
        self.late.first().copied().unwrap_or_default()
    }

    fn word(&self) -> &'static str {
        match self.moment {
            Moment::Same => "at the same moment",
            Moment::WithinASecond => "spread over one second",
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "sessions": self.late.len(),
            "expire": self.word(),
            "late_ms": { "min": self.least(), "p50": self.at(50), "p99": self.at(99), "max": self.at(100) },
            "gateway_cpu_seconds": self.cpu.as_secs_f64(),
            "gateway_memory_bytes": self.memory,
        })
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sessions expire {}; from `exp` to the Close, in ms: min {:.1}, p50 {:.1}, p99 {:.1}, max {:.1}; \
             gateway: {:.0} ms of CPU, {} MiB",
            self.late.len(),
            self.word(),
            self.least(),
            self.at(50),
            self.at(99),
            self.at(100),
            self.cpu.as_secs_f64() * 1000.0,
            self.memory >> 20,
        )
    }
}
