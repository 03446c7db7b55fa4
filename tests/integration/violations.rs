//! Frames that RFC 6455 forbids (§5.1 to §5.5, §7.4, §8.1): the sender is told, the receiver never
//! sees them, and nobody else notices; however the bytes are cut.

use crate::harness::wire::{self, BINARY, CLOSE, Length, PING, PONG, TEXT};
use crate::harness::{Frame, Gateway, Leg, Upstream, session};

/// One forbidden thing that a peer may send.
struct Violation {
    what: String,
    /// Lawful frames that come first.
    before: Vec<u8>,
    wrong: Vec<u8>,
    /// How much of `wrong` may pass: what no reader could have known to be wrong.
    harmless: usize,
    /// The sender's Close.
    code: u16,
}

/// Who sends: clients mask, upstreams must not.
#[derive(Clone, Copy, PartialEq)]
enum Sender {
    Client,
    Upstream,
}

impl Sender {
    fn frame(self, frame: Frame) -> Frame {
        if self == Self::Client {
            frame.masked()
        } else {
            frame
        }
    }

    fn head_length(self) -> usize {
        if self == Self::Client { 6 } else { 2 }
    }
}

fn violations(sender: Sender) -> Vec<Violation> {
    let mut list = broken_heads(sender);
    list.extend(broken_sequences(sender));
    list.extend(broken_closes(sender));
    list.extend(broken_texts(sender));
    list
}

fn violation(what: impl Into<String>, wrong: Vec<u8>) -> Violation {
    Violation {
        what: what.into(),
        before: Vec::new(),
        wrong,
        harmless: 0,
        code: 1002,
    }
}

fn broken_heads(sender: Sender) -> Vec<Violation> {
    let frame = |frame: Frame| sender.frame(frame);
    let wrong_mask = match sender {
        Sender::Client => Frame::text("bare"),
        Sender::Upstream => Frame::text("masked").masked(),
    };
    let mut list = vec![
        violation("the wrong masking", wrong_mask.bytes()),
        violation(
            "64 bits with the top bit",
            frame(Frame::binary("")).head(Length::Eight, 1 << 63),
        ),
        violation(
            "64 bits all set",
            frame(Frame::binary("")).head(Length::Eight, u64::MAX),
        ),
    ];
    for (form, length) in [
        (Length::Two, 0),
        (Length::Two, 125),
        (Length::Eight, 5),
        (Length::Eight, 0xffff),
    ] {
        let head = frame(Frame::binary("")).head(form, length);
        list.push(violation(format!("{length} written as {form:?}"), head));
    }
    for rsv in 1..8 {
        list.push(violation(
            format!("reserved bits {rsv}"),
            frame(Frame::text("x").rsv(rsv)).bytes(),
        ));
        list.push(violation(
            format!("reserved bits {rsv} on a ping"),
            frame(Frame::ping("").rsv(rsv)).bytes(),
        ));
    }
    for opcode in (3..8).chain(11..16) {
        list.push(violation(
            format!("opcode {opcode}"),
            frame(Frame::new(opcode, "x")).bytes(),
        ));
        list.push(violation(
            format!("opcode {opcode}, empty"),
            frame(Frame::new(opcode, "")).bytes(),
        ));
    }
    for opcode in [CLOSE, PING, PONG] {
        let fragment = frame(Frame::new(opcode, "").open()).bytes();
        list.push(violation(
            format!("control {opcode} in fragments"),
            fragment,
        ));
        let long = frame(Frame::new(opcode, [3; 126])).bytes();
        list.push(violation(format!("control {opcode} of 126 bytes"), long));
        let longer = frame(Frame::new(opcode, "")).head(Length::Eight, 0x10000);
        list.push(violation(format!("control {opcode} of 64 KiB"), longer));
    }
    // The default limit is 16 MiB.
    for length in [(16 << 20) + 1, 64 << 20, u64::MAX >> 1] {
        let head = frame(Frame::binary("")).head(Length::Eight, length);
        list.push(Violation {
            code: 1009,
            ..violation(format!("a message of {length} bytes"), head)
        });
    }
    list
}

fn broken_sequences(sender: Sender) -> Vec<Violation> {
    let bytes = |frames: &[Frame]| -> Vec<u8> {
        frames
            .iter()
            .flat_map(|frame| sender.frame(frame.clone()).bytes())
            .collect()
    };
    let case = |what: &str, before: &[Frame], wrong: Frame| Violation {
        before: bytes(before),
        ..violation(what, bytes(&[wrong]))
    };
    let open = Frame::text("a").open();
    let last = Frame::continuation("b");
    vec![
        case("a continuation of nothing", &[], last.clone()),
        case("an open continuation of nothing", &[], last.clone().open()),
        case(
            "a continuation after the last",
            &[open.clone(), last.clone()],
            last,
        ),
        case(
            "a text within a text",
            std::slice::from_ref(&open),
            Frame::text("b"),
        ),
        case(
            "a binary within a text",
            std::slice::from_ref(&open),
            Frame::binary("b"),
        ),
        case(
            "an open text within a text",
            std::slice::from_ref(&open),
            Frame::text("b").open(),
        ),
        case(
            "a text within, after a ping",
            &[open, Frame::ping("")],
            Frame::text("b"),
        ),
    ]
}

fn broken_closes(sender: Sender) -> Vec<Violation> {
    let close = |payload: &[u8]| sender.frame(Frame::new(CLOSE, payload)).bytes();
    let mut list = vec![violation("a Close of one byte", close(&[3]))];
    let unassigned = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ];
    for code in unassigned {
        list.push(violation(
            format!("Close {code}"),
            close(&u16::to_be_bytes(code)),
        ));
    }
    for reason in [&b"\xff"[..], b"ok\xc3", b"\xed\xa0\x80"] {
        let payload = [&1000_u16.to_be_bytes()[..], reason].concat();
        let what = format!("a reason `{}`", reason.escape_ascii());
        list.push(Violation {
            code: 1007,
            ..violation(what, close(&payload))
        });
    }
    list
}

fn broken_texts(sender: Sender) -> Vec<Violation> {
    // The bytes up to the first that cannot belong to any text.
    let texts: [(&[u8], usize); 7] = [
        (b"\xff", 0),
        (b"good\xffbad", 4),
        (b"\xc5\xbc\xc3(", 3),
        (b"\xc0\xaf", 0),
        (b"\xed\xa0\x80", 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"\xf0\x9d\x84", 2),
    ];
    let mut list = Vec::new();
    for (text, good) in texts {
        let wrong = sender.frame(Frame::text(text)).bytes();
        let harmless = sender.head_length() + good;
        let what = format!("a text `{}`", text.escape_ascii());
        list.push(Violation {
            harmless,
            code: 1007,
            ..violation(what, wrong)
        });
    }
    // A character begun in one fragment and not ended in the next.
    let before = sender.frame(Frame::new(TEXT, b"\xf0\x9d").open()).bytes();
    let wrong = sender.frame(Frame::continuation(b"x")).bytes();
    let harmless = sender.head_length();
    let what = "a character cut by a fragment";
    list.push(Violation {
        before,
        harmless,
        code: 1007,
        ..violation(what, wrong)
    });
    list
}

#[tokio::test]
async fn a_clients_violations_never_reach_the_upstream() {
    let sides = Sides::new().await;
    for violation in violations(Sender::Client) {
        sides.client_commits(&violation, Cut::Not).await;
        sides.client_commits(&violation, Cut::EveryByte).await;
    }
    sides.bystander_was_not_disturbed().await;
}

#[tokio::test]
async fn an_upstreams_violations_never_reach_the_client() {
    let sides = Sides::new().await;
    for violation in violations(Sender::Upstream) {
        sides.upstream_commits(&violation, Cut::Not).await;
        sides.upstream_commits(&violation, Cut::EveryByte).await;
    }
    sides.bystander_was_not_disturbed().await;
}

#[tokio::test]
async fn a_clients_violation_cut_in_two_anywhere_is_the_same_violation() {
    let sides = Sides::new().await;
    for violation in violations(Sender::Client) {
        for at in 1..(violation.before.len() + violation.wrong.len()).min(20) {
            sides.client_commits(&violation, Cut::At(at)).await;
        }
    }
    sides.bystander_was_not_disturbed().await;
}

#[tokio::test]
async fn an_upstreams_violation_cut_in_two_anywhere_is_the_same_violation() {
    let sides = Sides::new().await;
    for violation in violations(Sender::Upstream) {
        for at in 1..(violation.before.len() + violation.wrong.len()).min(20) {
            sides.upstream_commits(&violation, Cut::At(at)).await;
        }
    }
    sides.bystander_was_not_disturbed().await;
}

#[tokio::test]
async fn a_close_is_not_lost_to_what_follows_the_violation() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    for _ in 0..5 {
        let (mut client, mut server) = session(&gateway, &upstream).await;
        let flood = [Frame::text("bare").bytes(), vec![0x81; 256 << 10]].concat();
        client.send(&flood).await;
        tokio::join!(
            client.close_and_leave(1002),
            server.rest_as_a_proper_peer(false)
        );
    }
}

#[tokio::test]
async fn a_huge_promise_and_silence_costs_nothing_and_is_no_violation() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::before(upstream.url());
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let head = Frame::binary("").masked().head(Length::Eight, 16 << 20);
    client.send(&head).await;
    assert_eq!(server.bytes(head.len()).await, head);
    client.send(b"x").await;
    assert_eq!(server.bytes(1).await, b"x");
}

#[tokio::test]
async fn tiny_fragments_for_long_are_carried_and_counted() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::route(
        upstream.url(),
        "[routes.limits]\nmax_message_size = \"1KiB\"",
    );
    let (mut client, mut server) = session(&gateway, &upstream).await;
    let first = Frame::new(BINARY, "x").open().masked().bytes();
    let more = Frame::continuation("x").open().masked().bytes();
    let empty = Frame::continuation("").open().masked().bytes();
    let allowed = [first, more.repeat(1023), empty.repeat(5000)].concat();
    client.send(&allowed).await;
    assert!(server.bytes(allowed.len()).await == allowed);
    client.send(&more).await;
    client.close(1009).await;
    server.close(1001).await;
}

#[derive(Clone, Copy)]
enum Cut {
    Not,
    At(usize),
    EveryByte,
}

impl Cut {
    async fn send(self, leg: &mut Leg, violation: &Violation) {
        let bytes = [&violation.before[..], &violation.wrong].concat();
        match self {
            Self::Not => leg.send(&bytes).await,
            Self::At(at) => leg.send_cut_at(&bytes, at).await,
            // Long payloads are not more wrong for being long.
            Self::EveryByte => leg.send_byte_by_byte(&bytes[..bytes.len().min(40)]).await,
        }
    }
}

/// A gateway, an upstream, and somebody else's session that must not notice.
struct Sides {
    upstream: Upstream,
    gateway: Gateway,
    bystander: (Leg, Leg),
}

impl Sides {
    async fn new() -> Self {
        let upstream = Upstream::bind().await;
        let gateway = Gateway::before(upstream.url());
        let bystander = session(&gateway, &upstream).await;
        Self {
            upstream,
            gateway,
            bystander,
        }
    }

    async fn client_commits(&self, violation: &Violation, cut: Cut) {
        let (mut client, mut server) = session(&self.gateway, &self.upstream).await;
        cut.send(&mut client, violation).await;
        let (seen, told) = tokio::join!(
            server.rest_as_a_proper_peer(false),
            client.rest_as_a_proper_peer(true)
        );
        violation.check(&seen, 1001, &told);
        let closes = wire::frames(&seen[violation.before.len()..]).0;
        assert!(
            closes.iter().all(|close| close.mask.is_some()),
            "{}",
            violation.what
        );
    }

    async fn upstream_commits(&self, violation: &Violation, cut: Cut) {
        let (mut client, mut server) = session(&self.gateway, &self.upstream).await;
        cut.send(&mut server, violation).await;
        let (seen, told) = tokio::join!(
            client.rest_as_a_proper_peer(true),
            server.rest_as_a_proper_peer(false)
        );
        violation.check(&seen, 1011, &told);
    }

    async fn bystander_was_not_disturbed(mut self) {
        self.gateway.has_sessions(1).await;
        let (client, server) = &mut self.bystander;
        let frame = Frame::text("still here").masked();
        client.send_frame(&frame).await;
        assert_eq!(server.frame().await, frame);
        server.send_frame(&frame.clone().unmasked()).await;
        assert_eq!(client.frame().await, frame.unmasked());
    }
}

impl Violation {
    /// `seen` is all that the receiver got, `told` all that the sender got.
    fn check(&self, seen: &[u8], receiver_code: u16, told: &[u8]) {
        let Self {
            what,
            before,
            wrong,
            harmless,
            code,
        } = self;
        let shown = seen.escape_ascii();
        let rest = seen
            .strip_prefix(&before[..])
            .unwrap_or_else(|| panic!("{what}: lost in `{shown}`"));
        // Either the frame had begun to pass and its leg is cut, or the receiver got a Close.
        let is_cut = wrong.starts_with(rest) && rest.len() <= *harmless;
        if !is_cut || rest.is_empty() {
            let (frames, left) = wire::frames(rest);
            let is_close = frames.len() == 1 && frames[0].opcode == CLOSE && left.is_empty();
            assert!(is_close, "{what}: the receiver got `{shown}`");
            let (got, reason) = frames[0].code().unwrap();
            assert_eq!(got, receiver_code, "{what}: {reason}");
            assert!(!reason.is_empty(), "{what}");
        }

        let (frames, left) = wire::frames(told);
        let is_close = frames.len() == 1 && frames[0].opcode == CLOSE && left.is_empty();
        assert!(
            is_close,
            "{what}: the sender got {frames:?} `{}`",
            left.escape_ascii()
        );
        let (got, reason) = frames[0].code().unwrap();
        assert_eq!(got, *code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
    }
}
