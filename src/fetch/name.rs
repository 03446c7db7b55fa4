//! The addresses of a service's name.
//!
//! Looked up at first use and again from time to time; the last good answer outlives an outage of DNS,
//! and a lookup that hangs holds up nobody who knows an older answer. Never more than one lookup is
//! under way, whoever has given up waiting for it: the system's resolver blocks a thread each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

/// For how long an answer counts as new.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// Addresses that are used.
const ADDRESSES_LIMIT: usize = 8;

/// A host name with a port.
#[derive(Debug)]
pub(super) struct Name {
    host: String,
    port: u16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// Under way, possibly without anybody who waits for it.
    lookup: Option<JoinHandle<Found>>,
}

#[derive(Debug)]
struct Known {
    at: Instant,
    addresses: Arc<[SocketAddr]>,
}

type Found = io::Result<Vec<SocketAddr>>;

impl Name {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            state: Mutex::default(),
        }
    }

    /// At least one; or why there is none. Cancel-safe.
    pub(super) async fn addresses(&self) -> Result<Arc<[SocketAddr]>, String> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        let known = state.known.as_ref();
        if let Some(known) = known.filter(|known| known.at.elapsed() < FRESH_FOR) {
            return Ok(Arc::clone(&known.addresses));
        }
        let lookup = state.lookup.get_or_insert_with(|| self.look_up());
        if let (Some(known), false) = (known, lookup.is_finished()) {
            return Ok(Arc::clone(&known.addresses));
        }
        let found = lookup.await;
        state.lookup = None;
        state.learn(found)
    }

    fn look_up(&self) -> JoinHandle<Found> {
        let (host, port) = (self.host.clone(), self.port);
        tokio::spawn(async move {
            let found = lookup_host((host, port)).await?;
            Ok(found.take(ADDRESSES_LIMIT).collect())
        })
    }
}

impl State {
    fn learn(&mut self, found: Result<Found, JoinError>) -> Result<Arc<[SocketAddr]>, String> {
        let at = Instant::now();
        let why = match found {
            Ok(Ok(addresses)) if addresses.is_empty() => "the answer is empty".to_owned(),
            Ok(Ok(addresses)) => {
                let addresses: Arc<[SocketAddr]> = addresses.into();
                let known = self.known.insert(Known { at, addresses });
                return Ok(Arc::clone(&known.addresses));
            }
            Ok(Err(error)) => error.to_string(),
            // The runtime that it ran on has ended.
            Err(error) => error.to_string(),
        };
        match &mut self.known {
            Some(known) => {
                known.at = at;
                Ok(Arc::clone(&known.addresses))
            }
            None => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn failed() -> Result<Found, JoinError> {
        Ok(Err(io::Error::other("no such host")))
    }

    #[test]
    fn the_last_good_answer_outlives_an_outage() {
        let mut state = State::default();
        assert_eq!(state.learn(failed()), Err("no such host".to_owned()));
        assert!(state.learn(Ok(Ok(Vec::new()))).is_err());
        let learnt = state.learn(Ok(Ok(vec![address(1), address(2)])));
        assert_eq!(learnt.unwrap()[..], [address(1), address(2)]);
        assert_eq!(state.learn(failed()).unwrap()[..], [address(1), address(2)]);
        assert_eq!(
            state.learn(Ok(Ok(vec![address(3)]))).unwrap()[..],
            [address(3)]
        );
        assert_eq!(state.learn(Ok(Ok(Vec::new()))).unwrap()[..], [address(3)]);
    }

    #[tokio::test]
    async fn a_lookup_that_hangs_holds_up_nobody_who_knows_an_older_answer() {
        let name = Name::new("a.test".to_owned(), 80);
        {
            let mut state = name.state.lock().await;
            state.known = Some(Known {
                at: Instant::now() - FRESH_FOR,
                addresses: [address(1)].into(),
            });
            state.lookup = Some(tokio::spawn(std::future::pending()));
        }
        assert_eq!(name.addresses().await.unwrap()[..], [address(1)]);
    }

    #[tokio::test]
    async fn those_who_give_up_leave_their_lookup_to_the_next() {
        let name = Name::new("a.test".to_owned(), 80);
        let (found, lookup) = tokio::sync::oneshot::channel();
        let lookup = tokio::spawn(async move { Ok(lookup.await.unwrap()) });
        name.state.lock().await.lookup = Some(lookup);
        tokio::select! {
            biased;
            _ = name.addresses() => unreachable!("nothing is known"),
            () = std::future::ready(()) => {}
        }
        found.send(vec![address(7)]).unwrap();
        assert_eq!(name.addresses().await.unwrap()[..], [address(7)]);
    }

    #[tokio::test]
    async fn names_are_looked_up() {
        let name = Name::new("localhost".to_owned(), 8080);
        let addresses = name.addresses().await.unwrap();
        assert!(
            addresses
                .iter()
                .all(|one| one.ip().is_loopback() && one.port() == 8080)
        );
    }
}
