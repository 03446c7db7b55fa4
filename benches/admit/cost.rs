//! The gateway's CPU time for a handshake with each kind of credential, beside the same without.

use crate::Arguments;
use crate::client::Dialer;
use crate::gateway::{Gateway, PASSWORD, USER};
use crate::rig::random::Random;
use crate::rig::{Failure, percentile};
use crate::token::now;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fmt;
use tokio::task::JoinSet;

/// Clients at a time.
const CLIENTS: usize = 8;
/// What the order of the kinds is drawn by.
const SEED: u64 = 0x5EED;
/// No token of a measurement expires meanwhile.
const LONG: f64 = 3600.0;
/// The kinds: nothing, a token for the first time, a token again, a password that is known.
const KINDS: [&str; 4] = ["open", "ES256, first", "ES256, again", "password, known"];

/// Microseconds of each round, by kind.
pub(crate) struct Costs {
    rounds: Vec<[f64; KINDS.len()]>,
    handshakes: usize,
    is_secure: bool,
}

pub(crate) async fn measure(
    arguments: &Arguments,
    gateway: &Gateway,
    dialer: &Dialer,
) -> Result<Costs, Failure> {
    let mut random = Random::new(SEED);
    let known = (0..CLIENTS).map(|number| bearer(gateway, number));
    let known: Vec<String> = known.collect::<Result<_, _>>()?;
    let mut rounds = Vec::new();
    for round in 0..=arguments.rounds {
        let mut order: Vec<usize> = (0..KINDS.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, random.below(last as u64 + 1) as usize);
        }
        let mut took = [0.0; KINDS.len()];
        for kind in order {
            let count = arguments.handshakes;
            let shown = match kind {
                0 => ("/open/", vec![String::new(); count]),
                1 => ("/token/", fresh(gateway, round, count)?),
                // Of a few clients that come again and again.
                2 => (
                    "/token/",
                    known.iter().cycle().take(count).cloned().collect(),
                ),
                _ => ("/password/", vec![password(); count]),
            };
            took[kind] = turn(gateway, dialer, shown).await?;
        }
        // Before the first nobody knew the password.
        if round > 0 {
            rounds.push(took);
        }
    }
    Ok(Costs {
        rounds,
        handshakes: arguments.handshakes,
        is_secure: arguments.tls,
    })
}

/// A handshake at that path with each of the lines: microseconds for one.
async fn turn(
    gateway: &Gateway,
    dialer: &Dialer,
    (path, lines): (&'static str, Vec<String>),
) -> Result<f64, Failure> {
    let count = lines.len();
    let mut shares: Vec<Vec<String>> = vec![Vec::new(); CLIENTS];
    for (number, line) in lines.into_iter().enumerate() {
        shares[number % CLIENTS].push(line);
    }
    let before = gateway.cpu()?;
    let mut clients = JoinSet::new();
    for share in shares {
        let dialer = dialer.clone();
        clients.spawn(async move {
            for line in share {
                dialer.enter(path, &line).await?.close().await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let used = gateway.cpu()?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / count as f64)
}

/// So many that nobody has seen.
fn fresh(gateway: &Gateway, round: usize, count: usize) -> Result<Vec<String>, Failure> {
    let first = CLIENTS + round * count;
    let all = first..first + count;
    all.map(|number| bearer(gateway, number)).collect()
}

fn bearer(gateway: &Gateway, number: usize) -> Result<String, Failure> {
    let token = gateway.issuer.token(number, now()? + LONG)?;
    Ok(format!("Authorization: Bearer {token}\r\n"))
}

fn password() -> String {
    let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    format!("Authorization: Basic {pair}\r\n")
}

impl Costs {
    /// Of all rounds in order.
    fn of(&self, value: impl Fn(&[f64; KINDS.len()]) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self.rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Median, and the middle half, of what a kind takes and of what it takes more than none.
    fn spread(&self, kind: usize) -> [[f64; 3]; 2] {
        let [all, more] = [
            self.of(|round| round[kind]),
            self.of(|round| round[kind] - round[0]),
        ];
        [all, more].map(|sorted| {
            [50, 25, 75].map(|percent| percentile(&sorted, percent).unwrap_or_default())
        })
    }

    pub(crate) fn json(&self) -> Value {
        let kinds = KINDS.iter().enumerate().map(|(kind, name)| {
            let [[median, low, high], [more, least, most]] = self.spread(kind);
            let numbers = json!({
                "us": median, "us_quartiles": [low, high],
                "more_us": more, "more_us_quartiles": [least, most],
            });
            ((*name).to_owned(), numbers)
        });
        json!({
            "tls": self.is_secure,
            "rounds": self.rounds.len(),
            "handshakes": self.handshakes,
            "kinds": kinds.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.is_secure { "TLS" } else { "TCP" };
        let (rounds, handshakes) = (self.rounds.len(), self.handshakes);
        writeln!(
            f,
            "CPU time of the gateway for a session, opened and closed over {way}, in µs: \
             median (quartiles) of {rounds} rounds of {handshakes}\n"
        )?;
        for (kind, name) in KINDS.iter().enumerate() {
            let [[median, low, high], [more, least, most]] = self.spread(kind);
            write!(f, "{name:16} {median:7.1} ({low:.1}-{high:.1})")?;
            match kind {
                0 => writeln!(f)?,
                _ => writeln!(f, "   {more:+7.1} ({least:+.1} to {most:+.1})")?,
            }
        }
        Ok(())
    }
}
