//! The text of a request, right by default and wrong on demand.

/// The key of RFC 6455 §1.3.
pub const CLIENT_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A handshake, or what is made of it.
#[derive(Debug, Clone)]
pub struct Handshake {
    method: String,
    target: String,
    version: String,
    /// `{host}` stands for the gateway's address.
    headers: Vec<(String, String)>,
    /// Sent right behind the head.
    behind: Vec<u8>,
}

impl Handshake {
    pub fn new(target: &str) -> Self {
        let headers = [
            ("Host", "{host}"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", CLIENT_KEY),
            ("Sec-WebSocket-Version", "13"),
        ];
        Self {
            method: "GET".into(),
            target: target.into(),
            version: "HTTP/1.1".into(),
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            behind: Vec::new(),
        }
    }

    /// An ordinary request.
    pub fn plain(target: &str) -> Self {
        let without = [
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
        ];
        without
            .iter()
            .fold(Self::new(target), |request, name| request.without(name))
    }

    pub fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    pub fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    /// One more header line; the name may hold anything, even a line break.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces a header that is there.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        let header = self
            .headers
            .iter_mut()
            .find(|header| header.0.eq_ignore_ascii_case(name));
        header.unwrap_or_else(|| panic!("no `{name}`")).1 = value.into();
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|header| !header.0.eq_ignore_ascii_case(name));
        self
    }

    pub fn host(self, host: &str) -> Self {
        self.set("Host", host)
    }

    /// Bytes that the client sends without waiting for the answer.
    pub fn behind(mut self, bytes: &[u8]) -> Self {
        self.behind = bytes.to_vec();
        self
    }

    /// The same behind what is there already.
    pub fn followed_by(mut self, bytes: &[u8]) -> Self {
        self.behind.extend_from_slice(bytes);
        self
    }

    /// On the wire, towards the gateway at `address`.
    pub fn bytes(&self, address: &str) -> Vec<u8> {
        let mut text = format!("{} {} {}\r\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        [text.replace("{host}", address).as_bytes(), &self.behind].concat()
    }
}
