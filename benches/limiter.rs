//! What a limiter costs: time for a decision, and memory for a key.

use divan::{Bencher, black_box};
use std::net::Ipv4Addr;
use std::time::Duration;
use wsgate::admission::{KeyHash, RateLimiter};
use wsgate::config::{LimitKey, Rate};

/// As many as a limiter knows at most.
const KEYS: u32 = 1 << 18;

fn main() {
    report_memory();
    divan::main();
}

fn limiter() -> RateLimiter {
    let rate = Rate {
        amount: 5,
        period: Duration::from_secs(1),
    };
    RateLimiter::new(rate, 10)
}

fn key(number: u32) -> KeyHash {
    let address = Ipv4Addr::from_bits(number);
    KeyHash::of(LimitKey::ClientIp, Some(address.into()), None)
}

/// Resident bytes of this process.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[expect(clippy::print_stdout, reason = "its purpose")]
fn report_memory() {
    // None is dropped: the next one would get its memory.
    let mut limiters = Vec::new();
    for keys in [KEYS / 8, KEYS, 4 * KEYS] {
        let before = resident();
        let limiter = limiter();
        for number in 0..keys {
            // Refused or not does not matter here.
            let _ = limiter.check(key(number));
        }
        let (Some(before), Some(after)) = (before, resident()) else {
            return println!("this system does not tell the memory of a process");
        };
        let known = limiter.len();
        let per_key = after.saturating_sub(before) as f64 / known as f64;
        println!("{keys} keys came, {known} are known: {per_key:.1} bytes each");
        limiters.push(limiter);
    }
}

/// The key of a request, from its client's address.
#[divan::bench]
fn hash_an_address() -> KeyHash {
    key(black_box(0x0A00_0001))
}

/// A client that comes again.
#[divan::bench(args = [1, KEYS])]
fn check(bencher: Bencher<'_, '_>, keys: u32) {
    let limiter = limiter();
    for number in 0..keys {
        let _ = limiter.check(key(number));
    }
    let mut next = 0_u32;
    bencher.bench_local(|| {
        next = next.wrapping_add(0x9E37_79B9) % keys;
        limiter.check(key(black_box(next)))
    });
}

/// A client for whom there is no room any more.
#[divan::bench]
fn check_in_a_full_house(bencher: Bencher<'_, '_>) {
    let limiter = limiter();
    for number in 0..KEYS {
        let _ = limiter.check(key(number));
    }
    let mut next = KEYS;
    bencher.bench_local(|| {
        next += 1;
        limiter.check(key(black_box(next)))
    });
}
