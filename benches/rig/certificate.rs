//! A certificate for `localhost`, fresh for each run: ECDSA with P-256, as most have today.

use super::Failure;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::fs;
use std::path::Path;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Leaves `server.pem` and `server.key` in `folder`, and says whom to trust.
pub(crate) fn write(folder: &Path) -> Result<CertificateDer<'static>, Failure> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("server.pem"), cert.pem())?;
    fs::write(folder.join("server.key"), signing_key.serialize_pem())?;
    Ok(cert.der().clone())
}
