//! TLS both ways: certificates by SNI that follow their files, certificates of clients, and
//! connections to upstreams.
//!
//! All rustls types of settings stay in here. Deadlines are the callers': a TLS handshake has none
//! of its own (RFC 8446 for the protocol, RFC 6066 §3 for SNI, RFC 7301 for ALPN, RFC 5280 for
//! certificates and revocation).

mod certificate;
mod certificates;
mod client;
mod client_auth;
mod client_certificate;
mod error;
mod expiry;
mod followed;
mod handshake_failure;
mod hello;
mod revocation;
mod server;
mod trust;

pub use client::ClientTls;
pub use client_certificate::ClientCertificate;
#[cfg(test)]
pub(crate) use client_certificate::tests::client_certificate;
pub use error::{FileProblem, TlsError};
pub use expiry::{Expiring, Expiry, Standing};
pub use handshake_failure::{HandshakeFailure, Reason};
pub use server::{Secured, ServerTls};

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};
use tokio_rustls::rustls::SupportedCipherSuite;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The only protocol that is spoken after TLS, either way.
const ALPN: &[u8] = b"http/1.1";

/// The one provider of all settings. None is installed for the process, so that a crate which
/// brings another cannot change what is used here.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .sort_by_key(|suite| !is_aes_128(suite));
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// AES-128 goes first: its key schedule is SHA-256, for which processors have instructions; that of
/// AES-256 is SHA-384 and costs a seventh of a handshake.
fn is_aes_128(suite: &SupportedCipherSuite) -> bool {
    let name = format!("{:?}", suite.suite());
    name.contains("AES_128_GCM")
}
