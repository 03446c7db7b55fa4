//! What is known of one session for as long as it lives. There are many, so it is kept small: names of the
//! configuration are shared, everything else is one string.

use super::grounds::{Expiry, Grounds, Revocation};
use super::texts::Texts;
use crate::relay::Control;
use std::net::IpAddr;
use std::sync::Arc;

/// What a handshake has settled.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// The id of its handshake, as in the upstream's `X-Request-Id` and in the log.
    pub request_id: &'a str,
    /// Of the configuration.
    pub names: &'a Arc<Names>,
    /// The client's address; `None` on a unix socket.
    pub client: Option<IpAddr>,
    /// Host as routed.
    pub host: &'a str,
    /// Path as the client asked, without the query.
    pub path: &'a str,
    /// The endpoint that serves it.
    pub endpoint: &'a str,
    /// `method:name`, where the route asks for one.
    pub identity: Option<&'a str>,
    /// What both ends agreed on.
    pub subprotocol: Option<&'a str>,
}

/// Names of the configuration that many sessions share.
#[derive(Debug)]
pub struct Names {
    /// Of the listener they came by.
    pub listener: Arc<str>,
    /// Of their route.
    pub route: Arc<str>,
    /// Of its upstream.
    pub upstream: Arc<str>,
}

/// A session as others know it, with the handle that ends it.
#[derive(Debug)]
pub struct Session {
    control: Control,
    names: Arc<Names>,
    texts: Texts<5>,
    client: Option<IpAddr>,
    /// Most sessions rest on no more than who they are.
    grounds: Option<Box<Grounds>>,
    /// Whose list of the registry it is in, and where. Beside each other as a structure they would take
    /// more.
    pub(super) shard: u16,
    pub(super) index: u32,
}

/// Which text is which. An identity or a subprotocol that is empty is none.
#[derive(Clone, Copy)]
enum Text {
    RequestId,
    Host,
    Path,
    Endpoint,
    Identity,
    Subprotocol,
}

impl Session {
    /// Keeps `record`.
    pub fn new(record: &Record<'_>) -> Self {
        let others = [
            record.host,
            record.path,
            record.endpoint,
            record.identity.unwrap_or_default(),
            record.subprotocol.unwrap_or_default(),
        ];
        Self {
            control: Control::new(),
            names: record.names.clone(),
            texts: Texts::new(record.request_id, others),
            client: record.client,
            grounds: None,
            shard: 0,
            index: 0,
        }
    }

    /// The same, resting on `grounds`.
    pub fn resting_on(mut self, grounds: Grounds) -> Self {
        self.grounds = Some(Box::new(grounds));
        self
    }

    /// What ends it.
    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// Of the configuration.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Runs `watch`, which looks after what it rests on, on the calling task's runtime for as long as the
    /// session lives; it must not hold the session itself.
    pub fn watch(&self, watch: impl Future<Output = ()> + Send + 'static) {
        if let Some(grounds) = &self.grounds {
            grounds.watch(watch);
        }
    }

    /// When it is to end with what it rests on.
    pub fn expiry(&self) -> Option<Expiry> {
        self.grounds.as_ref().and_then(|grounds| grounds.expiry)
    }

    /// Whether what it rests on is taken back.
    pub fn is_revoked_by(&self, revocation: &Revocation<'_>) -> bool {
        match *revocation {
            Revocation::Session(id) => self.request_id() == id,
            Revocation::Identity(identity) if self.identity() == Some(identity) => true,
            _ => {
                let grounds = self.grounds.as_ref();
                grounds.is_some_and(|grounds| grounds.are_taken_back_by(revocation))
            }
        }
    }

    /// See [`Record::client`].
    pub const fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// See [`Record::request_id`].
    pub fn request_id(&self) -> &str {
        self.text(Text::RequestId)
    }

    /// See [`Record::host`].
    pub fn host(&self) -> &str {
        self.text(Text::Host)
    }

    /// See [`Record::path`].
    pub fn path(&self) -> &str {
        self.text(Text::Path)
    }

    /// See [`Record::endpoint`].
    pub fn endpoint(&self) -> &str {
        self.text(Text::Endpoint)
    }

    /// See [`Record::identity`].
    pub fn identity(&self) -> Option<&str> {
        Some(self.text(Text::Identity)).filter(|text| !text.is_empty())
    }

    /// See [`Record::subprotocol`].
    pub fn subprotocol(&self) -> Option<&str> {
        Some(self.text(Text::Subprotocol)).filter(|text| !text.is_empty())
    }

    fn text(&self, which: Text) -> &str {
        self.texts.get(which as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_says_what_it_was_told() {
        let names = Arc::new(Names {
            listener: "public".into(),
            route: "chat".into(),
            upstream: "back".into(),
        });
        let record = Record {
            request_id: "r1",
            names: &names,
            client: "10.0.0.1".parse().ok(),
            host: "a.example",
            path: "/chat",
            endpoint: "10.0.0.9:80",
            identity: Some("people:ann"),
            subprotocol: None,
        };
        let session = Session::new(&record);
        let told = [
            session.request_id(),
            session.host(),
            session.path(),
            session.endpoint(),
        ];
        assert_eq!(told, ["r1", "a.example", "/chat", "10.0.0.9:80"]);
        assert_eq!(session.identity(), Some("people:ann"));
        assert_eq!(session.subprotocol(), None);
        let session = Session::new(&Record {
            identity: None,
            subprotocol: Some("chat.v2"),
            ..record
        });
        assert_eq!(session.identity(), None);
        assert_eq!(session.subprotocol(), Some("chat.v2"));
    }
}
