//! When certificates and revocation lists end, and how the log tells of it in time.
//!
//! Wall clock only (RFC 5280 §4.1.2.5, §5.1.2.5): what is signed is dated by it.

use super::error::FileProblem;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How often the log tells.
const DAILY: Duration = Duration::from_secs(DAY as u64);
const DAY: i64 = 24 * 60 * 60;

/// How long before its end a certificate is warned about.
const SOON_DAYS: i64 = 21;

/// Until when something that was read from a file is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// What it is.
    pub what: Expiring,
    /// Where it was read from.
    pub file: PathBuf,
    /// DNS names of a leaf, the subject of an authority, the issuer of a list.
    pub names: Vec<String>,
    /// Seconds since 1970 from which it is good.
    pub not_before: i64,
    /// Seconds since 1970 until which it is good.
    pub not_after: i64,
}

/// What can expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// A chain that is shown: the first of its certificates to end counts.
    Certificate,
    /// An authority whose certificates are accepted.
    Authority,
    /// A revocation list.
    RevocationList,
}

/// How it stands with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It begins in the future.
    NotYet,
    /// So many whole days are left.
    Good(i64),
    /// The same, and they are few.
    Soon(i64),
    /// It ended so many whole days ago.
    Expired(i64),
}

impl Expiry {
    /// Of a chain, leaf first.
    pub(super) fn of_chain(
        file: &Path,
        chain: &[CertificateDer<'_>],
        names: &[String],
    ) -> Result<Self, FileProblem> {
        let mut validity = (i64::MIN, i64::MAX);
        for certificate in chain {
            let (_, not_before, not_after) = read(certificate)?;
            validity = (validity.0.max(not_before), validity.1.min(not_after));
        }
        Ok(Self {
            what: Expiring::Certificate,
            file: file.to_owned(),
            names: names.to_vec(),
            not_before: validity.0,
            not_after: validity.1,
        })
    }

    /// Of a root.
    pub(super) fn of_authority(
        file: &Path,
        certificate: &CertificateDer<'_>,
    ) -> Result<Self, FileProblem> {
        let (subject, not_before, not_after) = read(certificate)?;
        Ok(Self {
            what: Expiring::Authority,
            file: file.to_owned(),
            names: vec![subject],
            not_before,
            not_after,
        })
    }

    /// How it stands at `now`, in seconds since 1970.
    pub fn at(&self, now: i64) -> Standing {
        let left = self.not_after.saturating_sub(now);
        let days = left.saturating_abs() / DAY;
        match left {
            ..0 => Standing::Expired(days),
            _ if now < self.not_before => Standing::NotYet,
            // Lists are renewed in days or hours.
            _ if days < SOON_DAYS && self.what != Expiring::RevocationList => Standing::Soon(days),
            _ => Standing::Good(days),
        }
    }

    /// What is not well with it now, as a sentence.
    pub fn trouble(&self) -> Option<String> {
        let Self {
            what, file, names, ..
        } = self;
        let (file, names) = (file.display(), names.join(", "));
        match self.at(now()) {
            Standing::Good(_) => None,
            standing => Some(format!("the {what} `{file}` ({names}) {standing}")),
        }
    }

    /// Logs how it stands now.
    pub(super) fn tell(&self) {
        let Self {
            what, file, names, ..
        } = self;
        let (file, names) = (file.display(), names.join(", "));
        match self.at(now()) {
            Standing::Good(days_left) => {
                tracing::info!(%what, %file, names, days_left, "{what} is valid");
            }
            Standing::Soon(days_left) => {
                tracing::warn!(%what, %file, names, days_left, "{what} expires soon");
            }
            Standing::NotYet => tracing::warn!(%what, %file, names, "{what} is not valid yet"),
            Standing::Expired(days_ago) if *what == Expiring::RevocationList => tracing::warn!(
                %what, %file, names, days_ago,
                "{what} is out of date: it is used on, but what was revoked since is not in it"
            ),
            Standing::Expired(days_ago) => {
                tracing::error!(%what, %file, names, days_ago, "{what} has expired");
            }
        }
    }
}

/// Tells of all that `expiries` gives, now and then once a day; never ends.
pub(super) async fn tell_daily(expiries: impl Fn() -> Vec<Expiry>) {
    let mut days = interval(DAILY);
    days.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        days.tick().await;
        expiries().iter().for_each(Expiry::tell);
    }
}

/// Subject, beginning and end.
fn read(certificate: &CertificateDer<'_>) -> Result<(String, i64, i64), FileProblem> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| FileProblem::Certificate(error.to_string()))?;
    let validity = parsed.validity();
    Ok((
        parsed.subject().to_string(),
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

impl fmt::Display for Expiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Authority => "authority",
            Self::RevocationList => "revocation list",
        })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |days: i64| match days {
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        match *self {
            Self::NotYet => f.write_str("is not valid yet"),
            Self::Good(left) => write!(f, "is valid for {}", days(left)),
            Self::Soon(left) => write!(f, "expires in {}", days(left)),
            Self::Expired(0) => f.write_str("has expired"),
            Self::Expired(ago) => write!(f, "expired {} ago", days(ago)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(what: Expiring, not_after: i64) -> Expiry {
        Expiry {
            what,
            file: PathBuf::from("one.pem"),
            names: Vec::new(),
            not_before: 0,
            not_after,
        }
    }

    #[test]
    fn a_certificate_is_warned_about_three_weeks_before_its_end() {
        let end = 1000 * DAY;
        let cases = [
            (-1, Standing::NotYet),
            (0, Standing::Good(1000)),
            (end - 21 * DAY, Standing::Good(21)),
            (end - 21 * DAY + 1, Standing::Soon(20)),
            (end, Standing::Soon(0)),
            (end + 1, Standing::Expired(0)),
            (end + 2 * DAY, Standing::Expired(2)),
        ];
        for (now, expected) in cases {
            for what in [Expiring::Certificate, Expiring::Authority] {
                assert_eq!(until(what, end).at(now), expected, "{now}");
            }
        }
    }

    #[test]
    fn a_list_is_warned_about_once_it_is_out_of_date() {
        let list = until(Expiring::RevocationList, 1000 * DAY);
        assert_eq!(list.at(999 * DAY), Standing::Good(1));
        assert_eq!(list.at(1001 * DAY), Standing::Expired(1));
    }

    #[test]
    fn dates_that_no_calendar_has_overflow_nothing() {
        assert_eq!(
            until(Expiring::Certificate, i64::MIN).at(i64::MAX),
            Standing::Expired(i64::MAX / DAY)
        );
        assert!(matches!(
            until(Expiring::Certificate, i64::MAX).at(i64::MIN),
            Standing::NotYet
        ));
    }
}
