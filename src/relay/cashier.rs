//! Counting what is about to pass: which of the bytes at hand there are tokens for.
//!
//! Frames are found by their headers alone. What passes is at most burst plus rate by time, and what
//! was granted while something else was missing: a frame, the 125 bytes of a control frame, or,
//! where several limits count bytes, what one read may hold.

use super::bucket::Bucket;
use super::heartbeat::Pulse;
use super::limit::{Limit, OnExceed, Share, Unit};
use crate::frame::{Header, Opcode, Sender};
use std::time::Duration;
use tokio::time::Instant;

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

/// Pays for frames, as far as there are tokens. All slices have an entry for each limit of the route.
pub(super) struct Cashier<'a> {
    pub(super) limits: &'a [Limit],
    /// The session's own tokens, of both directions.
    pub(super) buckets: &'a mut [Bucket],
    /// What was taken for this direction and not yet spent.
    pub(super) credits: &'a mut [u64],
    /// Whose frames these are.
    pub(super) sender: Sender,
    /// Whose tokens are taken where they are shared.
    pub(super) account: u64,
    pub(super) now: Instant,
}

/// So many bytes are paid for, and then came the stop.
type Stopped = (usize, Stop);

impl Cashier<'_> {
    /// Pays for as many of `bytes` as there are tokens for. `left` of them belong to the frame under
    /// way; of `pulse` is known which pongs the gateway itself has asked for: they cost nothing.
    pub(super) fn admit(mut self, bytes: &[u8], left: u64, pulse: &mut Pulse) -> Admitted {
        let mut len = 0;
        let mut result = self.payload(left, bytes).map(Some);
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
            result = self.frame(&bytes[len..], pulse);
        }
    }

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

    /// Has `wanted` tokens of every limit that is `meant`, or as many as there are.
    fn gather(&mut self, meant: impl Fn(&Limit) -> bool, wanted: u64) -> Result<(), Stop> {
        let (account, now) = (self.account, self.now);
        let mut result = Ok(());
        for mut purse in self.purses() {
            if meant(purse.limit) {
                let filled = purse.fill(wanted, account, now);
                result = result.and(filled);
            }
        }
        result
    }

    /// How many of `wanted` bytes every limit has tokens for.
    fn least_credit(&mut self, wanted: usize) -> usize {
        self.purses()
            .filter(|purse| purse.limit.counts == Unit::Bytes)
            .map(|purse| usize::try_from(*purse.credit).unwrap_or(usize::MAX))
            .fold(wanted, usize::min)
    }

    fn spend(&mut self, unit: Unit, tokens: u64) {
        for purse in self.purses() {
            if purse.limit.counts == unit {
                *purse.credit = purse.credit.saturating_sub(tokens);
            }
        }
    }

    /// The limits that concern the sender.
    fn purses(&mut self) -> impl Iterator<Item = Purse<'_>> {
        let sender = self.sender;
        let tokens = self.buckets.iter_mut().zip(self.credits.iter_mut());
        let all = self.limits.iter().zip(tokens);
        all.filter(move |(limit, _)| limit.concerns(sender))
            .map(|(limit, (bucket, credit))| Purse {
                limit,
                bucket,
                credit,
            })
    }
}

/// A limit with its tokens.
struct Purse<'a> {
    limit: &'a Limit,
    bucket: &'a mut Bucket,
    credit: &'a mut u64,
}

impl Purse<'_> {
    /// Takes tokens in portions until there are `wanted`, or no more are to be had now.
    fn fill(&mut self, wanted: u64, account: u64, now: Instant) -> Result<(), Stop> {
        let Limit {
            quota, on_exceed, ..
        } = *self.limit;
        let portion = match on_exceed {
            OnExceed::Throttle => quota.portion(),
            OnExceed::Close => quota.burst(),
        };
        while *self.credit < wanted {
            let tokens = portion.min(wanted - *self.credit);
            let taken = match &self.limit.share {
                Share::Own => self.bucket.take(quota, tokens, now),
                Share::Account(meter) => meter.take(account, tokens),
            };
            if let Err(wait) = taken {
                return Err(match on_exceed {
                    OnExceed::Throttle => Stop::Wait(wait.max(quota.nap())),
                    OnExceed::Close => Stop::Exceeded(self.limit.counts),
                });
            }
            *self.credit += tokens;
        }
        Ok(())
    }
}
