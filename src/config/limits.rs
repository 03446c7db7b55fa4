//! `[routes.limits]`: how much of anything a client may ask for.
//!
//! Each limit is one table, a list of tables that all hold, or `"off"`. What is counted where is
//! for those who enforce it: admission before the session, the relay within it.

use super::Rate;
use super::kind::{
    Kind, boolean, byte_rate, choice, count, limits, made, or_off, rate, size, table,
};
use super::section::section;

section! {
    /// How much a client may ask for, and what a message may be. A rate is so many in a second,
    /// minute or hour (`"5/s"`, `"10/m"`, `"100/h"`), and `burst` is how many may come at once.
    ///
    /// Each of the limits is one table or a list of tables, of which all hold; `"off"` is none.
    /// Before the session, a client that is over a limit is answered 429, and where all clients of
    /// the route together are (`per = "route"`), 503; both say by `Retry-After` when to come again.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Limits at "`[routes.limits]`" {
        /// How many handshakes may come. Those that are refused for it count no further. Ordinary
        /// requests that a route passes on (`http_requests = "proxy"`) count as handshakes.
        pub handshake_rate: Vec<RateLimit> = limits(handshake_rate()), or("off");
        /// How many wrong credentials may come. Beyond it nobody with that key may try another, be
        /// it right or wrong, until there is a new try; handshakes without a credential and
        /// those that are admitted take no try.
        pub auth_failure_rate: Vec<RateLimit> = limits(auth_failure_rate()), or({ rate = "5/m", burst = 10, per = "client_ip" });
        /// How many sessions may be open at the same time. A handshake takes its place before its
        /// upstream is asked; ordinary requests take none.
        pub sessions: Vec<SessionLimit> = limits(table()), or("off");
        /// How many frames may pass, pings, pongs and fragments included. A Close is free, and so is
        /// a pong that the gateway itself has asked for.
        pub message_rate: Vec<TrafficLimit> = limits(message_rate()), or("off");
        /// How many bytes of payload may pass.
        pub byte_rate: Vec<TrafficLimit> = limits(traffic_bytes()), or("off");
        /// The largest message, over all its fragments. A larger one ends the session with close
        /// code 1009.
        pub max_message_size: Option<u64> = or_off(size(1..=1 << 40)), or("16MiB");
        /// Whether text must be UTF-8. Text that is not ends the session with close code 1007.
        pub validate_utf8: bool = boolean(), or(true);
    }
    example r#"[[routes]]
upstream = "ws://10.0.0.1:8080"

[routes.limits]
handshake_rate = [
    { rate = "5/s", burst = 10 },
    { rate = "500/s", per = "route" },
]
sessions = { max = 100, per = "identity" }
message_rate = { rate = "50/s", burst = 100 }
byte_rate = { rate = "1MiB/s", burst = "4MiB", on_exceed = "close" }
max_message_size = "64KiB"
"#
}

/// One of `handshake_rate` or `auth_failure_rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// What is allowed in the long run.
    pub rate: Rate,
    /// How many may come at once; at least one.
    pub burst: u64,
    /// Who shares it.
    pub per: LimitKey,
}

/// One of `message_rate` (in frames) or `byte_rate` (in bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficLimit {
    /// What is allowed in the long run.
    pub rate: Rate,
    /// How much may come at once; at least one.
    pub burst: u64,
    /// Who shares it.
    pub per: TrafficKey,
    /// What is counted.
    pub direction: LimitedDirection,
    /// What becomes of a session that is over it.
    pub on_exceed: OnTraffic,
}

/// `per` of what is limited before the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// All from one address; of IPv6 from one /64.
    ClientIp,
    /// All of one identity; on a route without identities, all from one address.
    Identity,
    /// All of the route.
    Route,
}

/// `per` of what is limited within the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrafficKey {
    /// Each session has its own.
    Session,
    /// All sessions of one identity; on a route without identities, all from one address.
    Identity,
}

/// `direction`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedDirection {
    /// What the client sends.
    FromClient,
    /// What the upstream sends.
    FromUpstream,
    /// Both, counted together.
    Both,
}

/// `on_exceed` of `message_rate` and `byte_rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTraffic {
    /// The sender has to wait.
    Throttle,
    /// The session ends.
    Close,
}

/// `on_exceed` of `sessions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSessions {
    /// The new one is refused.
    Refuse,
    /// The oldest one ends.
    CloseOldest,
}

const BURST: std::ops::RangeInclusive<u64> = 1..=1_000_000_000;

const BEFORE_SESSION: &[(&str, LimitKey)] = &[
    ("client_ip", LimitKey::ClientIp),
    ("identity", LimitKey::Identity),
    ("route", LimitKey::Route),
];

const WITHIN_SESSION: &[(&str, TrafficKey)] = &[
    ("session", TrafficKey::Session),
    ("identity", TrafficKey::Identity),
];

const DIRECTIONS: &[(&str, LimitedDirection)] = &[
    ("from_client", LimitedDirection::FromClient),
    ("from_upstream", LimitedDirection::FromUpstream),
    ("both", LimitedDirection::Both),
];

const ON_TRAFFIC: &[(&str, OnTraffic)] = &[
    ("throttle", OnTraffic::Throttle),
    ("close", OnTraffic::Close),
];

section! {
    /// How many handshakes may come.
    struct HandshakeRate at "an entry of `handshake_rate`" {
        /// What is allowed in the long run.
        rate: Rate = rate(), required;
        /// How many may come at once. Left out: what `rate` is in a second, at least 1.
        burst: Option<u64> = count(BURST), optional;
        /// Who shares the rate: `"client_ip"`, all from one address (of IPv6 from one /64), and
        /// `"route"` are checked before who it is; `"identity"` after it, and is `"client_ip"` on
        /// a route without `auth`.
        per: LimitKey = choice(BEFORE_SESSION), or("client_ip");
    }
}

section! {
    /// How many wrong credentials may come.
    struct AuthFailureRate at "an entry of `auth_failure_rate`" {
        /// What is allowed in the long run.
        rate: Rate = rate(), required;
        /// How many may come at once. Left out: what `rate` is in a second, at least 1.
        burst: Option<u64> = count(BURST), optional;
        /// Who shares the rate: `"client_ip"`, all from one address (of IPv6 from one /64), or
        /// `"route"`, which one who guesses uses up for all. There is no `"identity"`: with a wrong
        /// credential nobody is known.
        per: LimitKey = choice(&[
            ("client_ip", LimitKey::ClientIp),
            ("route", LimitKey::Route),
        ]), or("client_ip");
    }
}

section! {
    /// How many sessions may be open at the same time.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SessionLimit at "an entry of `sessions`" {
        /// So many.
        pub max: u32 = count(1..=10_000_000), required;
        /// Who shares them: `"identity"`, which is `"client_ip"` on a route without `auth`;
        /// `"client_ip"`, all from one address (of IPv6 from one /64); or `"route"`.
        pub per: LimitKey = choice(BEFORE_SESSION), or("identity");
        /// What becomes of one more: `"refuse"` refuses it; `"close_oldest"` admits it and, once it
        /// is open, closes the oldest with 1008.
        pub on_exceed: OnSessions = choice(&[
            ("refuse", OnSessions::Refuse),
            ("close_oldest", OnSessions::CloseOldest),
        ]), or("refuse");
    }
}

section! {
    /// How many frames may pass, pings, pongs and fragments included.
    struct MessageRate at "an entry of `message_rate`" {
        /// What is allowed in the long run.
        rate: Rate = rate(), required;
        /// How many may come at once. Left out: what `rate` is in a second, at least 1. Never less
        /// than what `rate` is in 10 ms.
        burst: Option<u64> = count(BURST), optional;
        /// Who shares the rate: each `"session"` has its own, or all sessions of one `"identity"`
        /// have one; that is the client's address on a route without `auth`.
        per: TrafficKey = choice(WITHIN_SESSION), or("session");
        /// What counts: frames `"from_client"`, `"from_upstream"`, or `"both"` together.
        direction: LimitedDirection = choice(DIRECTIONS), or("from_client");
        /// What becomes of more: `"throttle"` makes the sender wait: it is not read meanwhile, and
        /// nothing is lost; `"close"` ends the session with 1008.
        on_exceed: OnTraffic = choice(ON_TRAFFIC), or("throttle");
    }
}

section! {
    /// How many bytes of payload may pass.
    struct ByteRate at "an entry of `byte_rate`" {
        /// What is allowed in the long run: a size in a second, minute or hour.
        rate: Rate = byte_rate(), required;
        /// How many bytes may come at once. Left out: what `rate` is in a second, at least 1. Never
        /// less than what `rate` is in 10 ms.
        burst: Option<u64> = size(1..=1 << 40), optional;
        /// Who shares the rate: each `"session"` has its own, or all sessions of one `"identity"`
        /// have one; that is the client's address on a route without `auth`.
        per: TrafficKey = choice(WITHIN_SESSION), or("session");
        /// What counts: bytes `"from_client"`, `"from_upstream"`, or `"both"` together.
        direction: LimitedDirection = choice(DIRECTIONS), or("from_client");
        /// What becomes of more: `"throttle"` makes the sender wait: it is not read meanwhile, nothing
        /// is lost, and a frame larger than `burst` passes in pieces; `"close"` ends the session
        /// with 1008 before a frame for which too little is left.
        on_exceed: OnTraffic = choice(ON_TRAFFIC), or("throttle");
    }
}

fn burst(written: Option<u64>, rate: Rate) -> u64 {
    written.unwrap_or_else(|| rate.in_a_second())
}

fn handshake_rate() -> impl Kind<Out = RateLimit> {
    made(table(), |keys: HandshakeRate| RateLimit {
        rate: keys.rate,
        burst: burst(keys.burst, keys.rate),
        per: keys.per,
    })
}

fn auth_failure_rate() -> impl Kind<Out = RateLimit> {
    made(table(), |keys: AuthFailureRate| RateLimit {
        rate: keys.rate,
        burst: burst(keys.burst, keys.rate),
        per: keys.per,
    })
}

fn message_rate() -> impl Kind<Out = TrafficLimit> {
    made(table(), |keys: MessageRate| TrafficLimit {
        rate: keys.rate,
        burst: burst(keys.burst, keys.rate),
        per: keys.per,
        direction: keys.direction,
        on_exceed: keys.on_exceed,
    })
}

fn traffic_bytes() -> impl Kind<Out = TrafficLimit> {
    made(table(), |keys: ByteRate| TrafficLimit {
        rate: keys.rate,
        burst: burst(keys.burst, keys.rate),
        per: keys.per,
        direction: keys.direction,
        on_exceed: keys.on_exceed,
    })
}
