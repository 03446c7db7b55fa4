//! `allow_ips` and `deny_ips`: from where clients may come.

use crate::harness::gateway::LISTENER;
use crate::harness::{Gateway, Handshake, Upstream};

async fn status(keys: &str, told: &str) -> u16 {
    let gateway = Gateway::start(&format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n{LISTENER}[[routes]]\nupstream = \"builtin:echo\"\n{keys}\n"
    ));
    let mut ask = Handshake::new("/");
    if !told.is_empty() {
        ask = ask.with("X-Forwarded-For", told);
    }
    gateway.status(&ask).await
}

#[tokio::test]
async fn clients_enter_from_where_they_may() {
    for (keys, told, expected) in [
        ("allow_ips = [\"127.0.0.0/8\"]", "", 101),
        ("allow_ips = [\"10.0.0.0/8\"]", "", 403),
        ("allow_ips = [\"10.0.0.0/8\"]", "10.1.2.3", 101),
        (
            "allow_ips = [\"10.0.0.0/8\"]\ndeny_ips = [\"10.1.0.0/16\"]",
            "10.1.2.3",
            403,
        ),
        ("deny_ips = [\"2001:db8::/32\"]", "2001:db8::7", 403),
        ("deny_ips = [\"2001:db8::/32\"]", "2001:db9::7", 101),
        ("deny_ips = [\"127.0.0.1\"]", "192.0.2.7", 101),
        // The same address in other dress.
        ("deny_ips = [\"192.0.2.0/24\"]", "::ffff:192.0.2.7", 403),
        ("deny_ips = [\"192.0.2.0/24\"]", "::ffff:c000:207", 403),
        (
            "deny_ips = [\"192.0.2.0/24\"]",
            "[::ffff:192.0.2.7]:80",
            403,
        ),
        ("deny_ips = [\"192.0.2.0/24\"]", "192.0.2.7:80", 403),
        (
            "allow_ips = [\"192.0.2.0/24\"]",
            "192.0.2.7.evil.example",
            403,
        ),
        ("allow_ips = [\"192.0.2.0/24\"]", "0300.0.02.07", 403),
    ] {
        assert_eq!(status(keys, told).await, expected, "{keys} {told}");
    }
}

#[tokio::test]
async fn an_address_that_may_not_enter_is_told_before_it_is_asked_who_it_is() {
    let upstream = Upstream::bind().await;
    let gateway = Gateway::start(&format!(
        "{LISTENER}[auth.robots]\nkind = \"api_key\"\nkeys = {{ ci = {{ secret = \"0123456789abcdef\" }} }}\n\
         [[routes]]\nupstream = \"{}\"\nauth = [\"robots\"]\ndeny_ips = [\"127.0.0.1\"]\n",
        upstream.url()
    ));
    for ask in [Handshake::new("/"), Handshake::plain("/")] {
        let (_client, answer) = gateway.ask(&ask).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("WWW-Authenticate"), None);
    }
    upstream.was_left_alone().await;
}
