//! The limits of one direction of a session: how many of the bytes at hand may pass now, and what is
//! kept until the rest may.
//!
//! To wait is backpressure: the leg is not read, what had been read (one small read) is kept, and
//! goes on first. Frames are found by their headers alone, so nothing is judged here, only counted.
//! What passes is at most burst plus rate by time, and, where several limits wait for each other,
//! what one has granted meanwhile: one frame, or the 125 bytes of a control frame.

use super::bucket::Bucket;
use super::deadlines::Tick;
use super::heartbeat::Pulse;
use super::limit::{Limit, OnExceed, Share, Unit};
use super::rules::Rules;
use super::session::Way;
use crate::frame::{Header, Opcode};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much one read takes from a limited leg: what may not pass yet becomes the session's own memory.
pub(super) const READ_SIZE_FOR_LIMITED: usize = 16 * 1024;

/// The limits of both directions.
#[derive(Debug)]
pub(super) struct Pacing {
    to_upstream: Option<Pace>,
    to_client: Option<Pace>,
}

impl Pacing {
    /// What `rules` limit, if anything.
    pub(super) fn new(rules: &Rules, account: u64) -> Option<Box<Self>> {
        let pacing = Self {
            to_upstream: Pace::new(&rules.from_client, account),
            to_client: Pace::new(&rules.from_upstream, account),
        };
        let has_limits = pacing.to_upstream.is_some() || pacing.to_client.is_some();
        has_limits.then(|| Box::new(pacing))
    }

    pub(super) const fn of(&self, way: Way) -> Option<&Pace> {
        match way {
            Way::ToUpstream => self.to_upstream.as_ref(),
            Way::ToClient => self.to_client.as_ref(),
        }
    }

    pub(super) const fn of_mut(&mut self, way: Way) -> Option<&mut Pace> {
        match way {
            Way::ToUpstream => self.to_upstream.as_mut(),
            Way::ToClient => self.to_client.as_mut(),
        }
    }

    /// Nothing is waited for any more, and what was kept is dropped.
    pub(super) fn stop(&mut self, now: Tick) {
        for pace in [&mut self.to_upstream, &mut self.to_client] {
            pace.as_mut().map(|pace| pace.release(now));
        }
    }
}

/// A direction that has limits.
#[derive(Debug)]
pub(super) struct Pace {
    purses: Box<[Purse]>,
    /// Whose tokens are taken where they are shared.
    account: u64,
    /// What waits: empty, and then without heap, unless the direction is throttled.
    held: Vec<u8>,
    throttled_since: Instant,
    /// For how long it has been throttled, those waits that are over.
    throttled: Duration,
    /// When it was last throttled.
    last_throttled: Tick,
    /// Made when it is first needed.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// One limit's tokens.
#[derive(Debug)]
struct Purse {
    /// What was taken and not yet spent.
    credit: u64,
    bucket: Bucket,
}

/// Why not all bytes may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// More may in a while.
    Wait(Duration),
    /// A limit is broken for which the session ends.
    Exceeded(Unit),
}

/// The first `len` bytes may pass; if not all, why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) len: usize,
    pub(super) stop: Option<Stop>,
}

impl Pace {
    /// For a direction under `limits`, if there are any.
    fn new(limits: &[Limit], account: u64) -> Option<Self> {
        let now = Instant::now();
        let purse = |limit: &Limit| Purse {
            credit: 0,
            bucket: Bucket::new(limit.quota, now),
        };
        (!limits.is_empty()).then(|| Self {
            purses: limits.iter().map(purse).collect(),
            account,
            held: Vec::new(),
            throttled_since: now,
            throttled: Duration::ZERO,
            last_throttled: Tick::START,
            alarm: None,
        })
    }

    /// Whether bytes wait, so that the leg is not read.
    pub(super) const fn is_throttled(&self) -> bool {
        !self.held.is_empty()
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.held.len()
    }

    /// For how long the direction has been throttled, but for a wait that goes on.
    pub(super) const fn throttled(&self) -> Duration {
        self.throttled
    }

    /// When it was last throttled, the tick being `now`.
    pub(super) const fn last_throttled(&self, now: Tick) -> Tick {
        if self.is_throttled() {
            now
        } else {
            self.last_throttled
        }
    }

    /// How many of `bytes` may pass. `left` of them belong to the frame under way; of `pulse` is
    /// known which pongs were asked for by the gateway, and cost nothing.
    pub(super) fn admit(
        &mut self,
        limits: &[Limit],
        bytes: &[u8],
        left: u64,
        pulse: &mut Pulse,
    ) -> Admitted {
        let mut cashier = Cashier {
            purses: &mut self.purses,
            limits,
            account: self.account,
            now: Instant::now(),
        };
        let mut len = 0;
        let mut result = cashier.payload(left, bytes).map(Some);
        loop {
            match result {
                Ok(Some(paid)) => len += paid,
                Ok(None) => {
                    return Admitted {
                        len: bytes.len(),
                        stop: None,
                    };
                }
                Err((paid, stop)) => {
                    let stop = Some(stop);
                    return Admitted {
                        len: len + paid,
                        stop,
                    };
                }
            }
            result = cashier.frame(&bytes[len..], pulse);
        }
    }

    /// Keeps these bytes for so long.
    pub(super) fn hold(&mut self, bytes: &[u8], wait: Duration) {
        let now = Instant::now();
        self.held = bytes.to_vec();
        self.throttled_since = now;
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().reset(now + wait),
            none => *none = Some(Box::pin(sleep_until(now + wait))),
        }
    }

    /// Ready when it is worth to try again.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(alarm) = &mut self.alarm {
            ready!(alarm.as_mut().poll(cx));
        }
        Poll::Ready(())
    }

    /// Gives the kept bytes back: the wait is over.
    pub(super) fn release(&mut self, now: Tick) -> Vec<u8> {
        if self.is_throttled() {
            self.throttled += self.throttled_since.elapsed();
            self.last_throttled = now;
        }
        std::mem::take(&mut self.held)
    }
}

/// Pays for frames, as far as there are tokens.
struct Cashier<'a> {
    purses: &'a mut [Purse],
    limits: &'a [Limit],
    account: u64,
    now: Instant,
}

/// So many bytes are paid for, and then came the stop.
type Stopped = (usize, Stop);

impl Cashier<'_> {
    /// Pays for the next frame, or for what is there of it. `None`: the rest is the beginning of
    /// something that will be seen again, or that nobody will let pass.
    fn frame(&mut self, bytes: &[u8], pulse: &mut Pulse) -> Result<Option<usize>, Stopped> {
        let Ok(Some(header)) = Header::parse(bytes) else {
            return Ok(None);
        };
        let payload = &bytes[header.header_len..];
        if header.opcode.is_control() {
            self.control(&header, payload, pulse)
        } else {
            self.data(&header, payload).map(Some)
        }
    }

    fn data(&mut self, header: &Header, payload: &[u8]) -> Result<usize, Stopped> {
        self.start(header.payload_len).map_err(|stop| (0, stop))?;
        match self.payload(header.payload_len, payload) {
            Err((0, stop)) => Err((0, stop)),
            paid => {
                self.spend(Unit::Frames, 1);
                let whole = |paid| header.header_len + paid;
                paid.map(whole).map_err(|(paid, stop)| (whole(paid), stop))
            }
        }
    }

    /// A control frame passes whole or not at all.
    fn control(
        &mut self,
        header: &Header,
        payload: &[u8],
        pulse: &mut Pulse,
    ) -> Result<Option<usize>, Stopped> {
        let Some(payload) = payload.get(..header.payload_len as usize) else {
            return Ok(None);
        };
        let is_free = match header.opcode {
            Opcode::Close => true,
            Opcode::Pong => pulse.is_awaited(payload, header.mask),
            _ => false,
        };
        if !is_free {
            let paid = self
                .gather(|limit| limit.counts == Unit::Frames, 1)
                .and_then(|()| {
                    self.gather(|limit| limit.counts == Unit::Bytes, header.payload_len)
                });
            paid.map_err(|stop| (0, stop))?;
            self.spend(Unit::Frames, 1);
            self.spend(Unit::Bytes, header.payload_len);
        }
        Ok(Some(header.header_len + payload.len()))
    }

    /// Whether a data frame may begin. Where too many bytes end the session, all that it announces
    /// must be there: inside of a frame the other leg could not be told.
    fn start(&mut self, announced: u64) -> Result<(), Stop> {
        self.gather(|limit| limit.counts == Unit::Frames, 1)?;
        self.gather(
            |limit| limit.counts == Unit::Bytes && limit.on_exceed == OnExceed::Close,
            announced,
        )
    }

    /// Pays for the next payload of a data frame that has `left` bytes: as far as it goes.
    fn payload(&mut self, left: u64, bytes: &[u8]) -> Result<usize, Stopped> {
        let wanted = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let gathered = self.gather(|limit| limit.counts == Unit::Bytes, wanted as u64);
        let paid = self.least_credit(wanted);
        self.spend(Unit::Bytes, paid as u64);
        gathered.map(|()| paid).map_err(|stop| (paid, stop))
    }

    /// Has `wanted` tokens in the purse of every limit that is `meant`, or as many as there are.
    fn gather(&mut self, meant: impl Fn(&Limit) -> bool, wanted: u64) -> Result<(), Stop> {
        let mut result = Ok(());
        for (purse, limit) in self.purses.iter_mut().zip(self.limits) {
            if meant(limit) {
                let filled = purse.fill(limit, wanted, self.account, self.now);
                result = result.and(filled);
            }
        }
        result
    }

    /// How many of `wanted` bytes every limit has tokens for.
    fn least_credit(&self, wanted: usize) -> usize {
        let limited = self.purses.iter().zip(self.limits);
        limited
            .filter(|(_, limit)| limit.counts == Unit::Bytes)
            .map(|(purse, _)| usize::try_from(purse.credit).unwrap_or(usize::MAX))
            .fold(wanted, usize::min)
    }

    fn spend(&mut self, unit: Unit, tokens: u64) {
        for (purse, limit) in self.purses.iter_mut().zip(self.limits) {
            if limit.counts == unit {
                purse.credit = purse.credit.saturating_sub(tokens);
            }
        }
    }
}

impl Purse {
    /// Takes tokens in portions until there are `wanted`, or no more are to be had now.
    fn fill(&mut self, limit: &Limit, wanted: u64, account: u64, now: Instant) -> Result<(), Stop> {
        let quota = limit.quota;
        let portion = match limit.on_exceed {
            OnExceed::Throttle => quota.portion(),
            OnExceed::Close => quota.burst(),
        };
        while self.credit < wanted {
            let tokens = portion.min(wanted - self.credit);
            let taken = match &limit.share {
                Share::Own => self.bucket.take(quota, tokens, now),
                Share::Account(meter) => meter.take(account, tokens),
            };
            if let Err(wait) = taken {
                return Err(match limit.on_exceed {
                    OnExceed::Throttle => Stop::Wait(wait.max(quota.nap())),
                    OnExceed::Close => Stop::Exceeded(limit.counts),
                });
            }
            self.credit += tokens;
        }
        Ok(())
    }
}
