//! Random traffic over connections that move bytes in odd pieces. What arrives, minus the frames that the
//! gateway added, must be what was sent: no byte lost, repeated, reordered, no frame split.
//! A failing seed is printed and replays exactly.

use super::*;
use crate::frame::Opcode::{self, Binary, Close, Continuation, Ping, Pong, Text};
use crate::relay::{CloseOrder, GatewayEnd, Totals};
use peer::Frame;
use std::borrow::Cow;
use stream::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SEEDS: u64 = 80;

/// Frames of a well-behaved peer, ready to be sent, and what they come to.
fn traffic(peer: &Peer, random: &mut Random) -> (Vec<Vec<u8>>, Totals) {
    let mut frames = Vec::new();
    let mut totals = Totals::default();
    let mut add = |opcode: Opcode, fin: bool, payload: &[u8]| {
        frames.push(peer.fragment(opcode, fin, payload));
        totals.frames += 1;
        totals.messages += u64::from(fin && !opcode.is_control());
        totals.bytes += payload.len() as u64;
    };
    for _ in 0..5 + random.below(15) {
        let is_text = random.below(2) == 0;
        let payload = payload(random, is_text);
        let cut = random.below(payload.len() + 1);
        let opcode = if is_text { Text } else { Binary };
        if random.below(2) == 0 {
            add(opcode, true, &payload);
            continue;
        }
        add(opcode, false, &payload[..cut]);
        if random.below(2) == 0 {
            add(
                [Ping, Pong][random.below(2)],
                true,
                &payload[..cut.min(125)],
            );
        }
        add(Continuation, true, &payload[cut..]);
    }
    (frames, totals)
}

fn payload(random: &mut Random, is_text: bool) -> Vec<u8> {
    let most = [0, 10, 130, 700, 9000][random.below(5)];
    let len = random.below(most + 1);
    if is_text {
        let letters = ['a', 'é', '€', '😀'];
        (0..len / 4)
            .map(|_| letters[random.below(4)])
            .collect::<String>()
            .into_bytes()
    } else {
        (0..len).map(|_| random.next() as u8).collect()
    }
}

/// Waits as long as anyone likes for the second Close.
fn patient() -> Rules {
    Rules {
        close: Duration::from_hours(1),
        ..pinging()
    }
}

/// Pings after every second of silence, and waits as long as anyone likes for the pong.
fn pinging() -> Rules {
    Rules {
        ping_interval: Some(Duration::from_secs(1)),
        pong_timeout: Duration::from_hours(1),
        ..lenient()
    }
}

/// A session whose both ends are chopped by `seed`.
fn chopped_rig(rules: Rules, seed: u64) -> Rig {
    let mut random = Random(seed);
    let room = [16, 200, 5000][random.below(3)];
    let (client, client_end, client_fault) = TestStream::pair(room);
    let (upstream, upstream_end, upstream_fault) = TestStream::pair(room);
    let control = Arc::new(Control::new());
    let courses = Courses::new(Arc::new(rules));
    let task = relay(
        client_end.chopped(random.next()),
        upstream_end.chopped(random.next()),
        Early::default(),
        courses.of(0),
        Negotiated::default(),
        0,
        Arc::clone(&control),
    );
    Rig {
        client: Peer::client(client),
        upstream: Peer::server(upstream),
        client_fault,
        upstream_fault,
        control,
        courses,
        task: tokio::spawn(task),
    }
}

/// Sends frames in odd pieces, with pauses in and between them that are long enough for pings.
async fn dribble(
    stream: &mut (impl tokio::io::AsyncWrite + Unpin),
    frames: &[Vec<u8>],
    mut random: Random,
) {
    for frame in frames {
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let most = [3, 100, 3000][random.below(3)];
            let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(most)));
            if stream.write_all(piece).await.is_err() {
                return;
            }
            rest = behind;
            pause(&mut random, 30).await;
        }
        pause(&mut random, 4).await;
    }
}

async fn pause(random: &mut Random, once_in: usize) {
    if random.below(once_in) == 0 {
        tokio::time::sleep(Duration::from_millis(random.next() % 3000)).await;
    }
}

/// Splits what arrived into frames: those the gateway added, and the bytes of all others.
fn without_ours(peer: &Peer, bytes: &[u8], sent: &[u8]) -> (Vec<Frame>, Vec<u8>) {
    let (mut ours, mut others, mut at) = (Vec::new(), Vec::new(), 0);
    while let Ok(Some(header)) = crate::frame::Header::parse(&bytes[at..]) {
        let end = at + header.header_len + header.payload_len as usize;
        let Some(frame) = bytes.get(at..end) else {
            break;
        };
        assert_ne!(
            header.mask.is_some(),
            peer.fragment(Ping, true, b"")[1] & 0x80 != 0
        );
        if sent[others.len()..].starts_with(frame) {
            others.extend_from_slice(frame);
        } else {
            let mut payload = frame[header.header_len..].to_vec();
            crate::frame::mask::apply(&mut payload, header.mask.unwrap_or_default());
            ours.push(Frame { header, payload });
        }
        at = end;
    }
    others.extend_from_slice(&bytes[at..]);
    (ours, others)
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_arrives_whatever_the_pieces() {
    let mut pings = 0;
    for seed in 0..SEEDS {
        let Rig {
            client,
            upstream,
            task,
            ..
        } = chopped_rig(patient(), seed);
        let mut random = Random(seed ^ 0xFEED);
        let (up, up_totals) = traffic(&client, &mut random);
        let (down, down_totals) = traffic(&upstream, &mut random);
        let close = client.close_frame(1000, "end");
        let answer = upstream.close_frame(1000, "end");
        let up = [up, vec![close]].concat();
        let down = [down, vec![answer]].concat();
        let (mut from_client, mut to_client) = tokio::io::split(client.stream);
        let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream.stream);
        let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
        let (_, _, one, other, outcome) = tokio::join!(
            dribble(&mut to_client, &up, Random(random.next())),
            dribble(&mut to_upstream, &down, Random(random.next())),
            from_upstream.read_to_end(&mut got_up),
            from_client.read_to_end(&mut got_down),
            task,
        );
        assert!(one.is_ok() && other.is_ok());
        let outcome = outcome.unwrap();
        let client = Peer::client(tokio::io::duplex(1).0);
        let upstream = Peer::server(tokio::io::duplex(1).0);
        for (peer, got, sent) in [(&upstream, &got_up, &up), (&client, &got_down, &down)] {
            let sent = &sent.concat();
            let (ours, others) = without_ours(peer, got, sent);
            assert!(
                others == *sent,
                "seed {seed}: {} of {} bytes",
                others.len(),
                sent.len()
            );
            assert!(
                ours.iter()
                    .all(|frame| frame.opcode() == Ping && frame.payload.len() == 8)
            );
            pings += ours.len();
        }
        let with_close = |totals: Totals| Totals {
            frames: totals.frames + 1,
            bytes: totals.bytes + 5,
            ..totals
        };
        assert_eq!(outcome.to_upstream, with_close(up_totals), "seed {seed}");
        assert_eq!(outcome.to_client, with_close(down_totals), "seed {seed}");
    }
    assert!(
        pings > SEEDS as usize,
        "{pings} pings: the gateway's own frames were not tried"
    );
}

#[tokio::test(start_paused = true)]
async fn whatever_breaks_only_whole_frames_and_then_at_most_one_close_arrive() {
    for seed in 0..SEEDS {
        let Rig {
            client,
            upstream,
            task,
            control,
            client_fault,
            upstream_fault,
            ..
        } = chopped_rig(pinging(), seed);
        let mut random = Random(seed ^ 0xBAD);
        let (up, _) = traffic(&client, &mut random);
        let (down, _) = traffic(&upstream, &mut random);
        let (mut from_client, mut to_client) = tokio::io::split(client.stream);
        let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream.stream);
        let delay = Duration::from_millis(random.next() % 5000);
        let kind = random.below(3);
        let fault = async {
            tokio::time::sleep(delay).await;
            match kind {
                0 => client_fault.reset(),
                1 => upstream_fault.reset(),
                _ => {
                    let reason = Cow::Borrowed("enough");
                    control.close(CloseOrder {
                        code: 1001,
                        reason,
                        why: GatewayEnd::Drain,
                    });
                }
            }
        };
        let (mut got_up, mut got_down) = (Vec::new(), Vec::new());
        let (_, _, _, _, _, outcome) = tokio::join!(
            dribble(&mut to_client, &up, Random(random.next())),
            dribble(&mut to_upstream, &down, Random(random.next())),
            from_upstream.read_to_end(&mut got_up),
            from_client.read_to_end(&mut got_down),
            fault,
            task,
        );
        let outcome = outcome.unwrap();
        let client = Peer::client(tokio::io::duplex(1).0);
        let upstream = Peer::server(tokio::io::duplex(1).0);
        let legs = [
            (&upstream, &got_up, &up, outcome.upstream),
            (&client, &got_down, &down, outcome.client),
        ];
        for (peer, got, sent, leg) in legs {
            let sent = &sent.concat();
            let (ours, others) = without_ours(peer, got, sent);
            let is_reset = (kind == 0 && std::ptr::eq(got, &raw const got_down))
                || (kind == 1 && std::ptr::eq(got, &raw const got_up));
            // What a reset connection had taken may end anywhere, inside one of our pings too.
            if !is_reset {
                assert!(
                    sent.starts_with(&others),
                    "seed {seed}: {} bytes",
                    others.len()
                );
                let closes = ours.iter().filter(|frame| frame.opcode() == Close).count();
                assert_eq!(closes, usize::from(leg.close_sent.is_some()), "seed {seed}");
                assert!(
                    closes == 0 || ours.last().unwrap().opcode() == Close,
                    "seed {seed}"
                );
            }
        }
    }
}
