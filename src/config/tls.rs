//! Keys of TLS: the certificates of listeners and upstreams, and whose certificates they accept.
//!
//! Which of them need or exclude others is checked in `encryption.rs`; what is in the files, in
//! `crate::tls` at start.

use super::host;
use super::kind::{Parsed, at, boolean, choice, existing_file, filled, one_or_list, parsed, table};
use super::problem::Problem;
use super::reader::At;
use super::section::section;
use std::path::PathBuf;

/// `[listeners.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Chosen by name (SNI); the first is the default. At least one.
    pub certificates: Vec<CertificateFiles>,
    /// Refuse clients that ask for no name, or for one that no certificate has.
    pub strict_sni: bool,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Whose certificates clients may or must show; `None`: they are not asked for any.
    pub clients: Option<ClientCertificates>,
}

/// `client_ca`, `client_auth`, `crl`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Roots, PEM.
    pub ca: PathBuf,
    /// Whether a client without a certificate is refused.
    pub is_required: bool,
    /// Revocation lists, PEM or DER. Empty: nothing is known to be revoked.
    pub crl: Vec<PathBuf>,
}

section! {
    /// TLS of a listener. All files are followed: new handshakes use a renewed one within seconds.
    pub(super) struct ListenerTlsKeys at "`[listeners.tls]`" {
        /// Chosen by the name that the client asks for (SNI); the first serves clients that ask
        /// for an unknown name or for none.
        pub(super) certificates: Vec<CertificateFiles> = filled(table()), required;
        /// Whether a client that asks for a name which no certificate has, or for none, is refused:
        /// it is sent a TLS alert (`unrecognized_name`) and no certificate. Clients that connect to
        /// a bare IP address ask for no name.
        pub(super) strict_sni: bool = boolean(), or(false);
        /// The oldest version of TLS that is spoken. Older ones than 1.2 never are.
        pub(super) min_version: TlsVersion = choice(&[
            ("1.2", TlsVersion::V1_2),
            ("1.3", TlsVersion::V1_3),
        ]), or("1.2");
        /// Roots of certificates that clients show (mTLS), which must be of version 3, as those
        /// with extensions are. Left out: clients are not asked for one.
        /// A change of this file or of `crl` also ends the resumption of earlier TLS sessions;
        /// of WebSocket sessions that are open, those end whose certificate is put on a list.
        pub(super) client_ca: Option<PathBuf> = existing_file("PEM certificates"), optional;
        /// `"required"`: a client without a certificate is refused. `"optional"`: it passes; one
        /// that shows a bad certificate does not. Needs `client_ca`. Left out: `"required"`.
        pub(super) client_auth: Option<At<ClientAuth>> = at(choice(&[
            ("required", ClientAuth::Required),
            ("optional", ClientAuth::Optional),
        ])), optional;
        /// Lists of revoked certificates, PEM or DER, version 2. Once there is any, each issuer of client
        /// certificates needs one: a client whose issuer has none is refused. The client's own
        /// certificate is looked up, not those of authorities between it and the root. Of several
        /// lists of one issuer the newest counts; one that is past its next update is used on, and
        /// the log warns. Needs `client_ca`.
        pub(super) crl: Option<At<Vec<PathBuf>>> =
            at(one_or_list(existing_file("a PEM or DER revocation list"))), optional;
    }
    example r#"[[listeners]]
address = "0.0.0.0:8443"

[listeners.tls]
certificates = [
    { cert = "example.com.pem", key = "example.com.key" },
    { cert = "example.org.pem", key = "example.org.key" },
]
client_ca = "clients-ca.pem"
crl = "clients.crl"
"#
}

section! {
    /// A certificate and its key, both PEM.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CertificateFiles at "`{ cert, key }`" {
        /// The chain: leaf first, then intermediates.
        pub cert: PathBuf = existing_file("a PEM certificate chain"), required;
        /// The private key of the leaf: PKCS#8, PKCS#1 or SEC1.
        pub key: PathBuf = existing_file("a PEM private key"), required;
    }
}

section! {
    /// How `wss://` endpoints and the gateway prove to each other who they are. All files are
    /// followed.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    pub struct UpstreamTls at "`[upstreams.NAME.tls]`" {
        /// Roots to trust, PEM. Left out: those of the system.
        pub ca: Option<PathBuf> = existing_file("PEM certificates"), optional;
        /// The name to verify and to ask for (SNI). Left out: the host of the endpoint.
        pub server_name: Option<String> = server_name(), optional;
        /// What the gateway shows to endpoints that ask for a certificate.
        pub client: Option<CertificateFiles> = table(), optional;
    }
    example r#"[upstreams.chat]
endpoints = ["wss://10.0.0.1:8443"]

[upstreams.chat.tls]
ca = "backend-ca.pem"
server_name = "chat.internal"
client = { cert = "gateway.pem", key = "gateway.key" }
"#
}

/// `min_version`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    V1_2,
    /// TLS 1.3 alone.
    V1_3,
}

/// `client_auth`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuth {
    Required,
    Optional,
}

impl ListenerTls {
    /// These certificates, and every other key left out.
    pub fn with(certificates: Vec<CertificateFiles>) -> Self {
        Self {
            certificates,
            strict_sni: false,
            min_version: TlsVersion::V1_2,
            clients: None,
        }
    }
}

impl From<ListenerTlsKeys> for ListenerTls {
    fn from(keys: ListenerTlsKeys) -> Self {
        let auth = keys.client_auth.map(|auth| auth.value);
        let crl = keys.crl.map(|crl| crl.value).unwrap_or_default();
        Self {
            certificates: keys.certificates,
            strict_sni: keys.strict_sni,
            min_version: keys.min_version,
            clients: keys.client_ca.map(|ca| ClientCertificates {
                ca,
                is_required: auth != Some(ClientAuth::Optional),
                crl,
            }),
        }
    }
}

fn server_name() -> Parsed<String> {
    parsed(
        "a host name or an IP address",
        ".",
        |text| match text.parse::<std::net::IpAddr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) if text.contains(':') => Err(Problem::new(format!("`{text}` is not a name"))
                .help("write the name without scheme and port")),
            Err(_) => host::parse(text),
        },
    )
}
