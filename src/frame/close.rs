//! The body of a Close frame (RFC 6455 §5.5.1, §7.4) and its codes.

/// The close codes that the gateway itself says.
pub mod code {
    /// The leg is left for a reason that is nobody's fault: drain, idle, too old.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke RFC 6455.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// Stands for a Close without a code; never on the wire.
    pub const NO_STATUS: u16 = 1005;
    /// Text is not UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// The peer broke a rule of the gateway's own.
    pub const POLICY_VIOLATION: u16 = 1008;
    /// A message is larger than the rules allow.
    pub const MESSAGE_TOO_BIG: u16 = 1009;
    /// The other side of the gateway broke the rules.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// The other side of the gateway is gone; clients connect again.
    pub const SERVICE_RESTART: u16 = 1012;
}

/// Whether a peer may send this code: those that RFC 6455 and the IANA registry define for the wire
/// (1012 to 1014 included) and those of libraries and applications.
pub const fn may_be_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What a Close frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseBody<'a> {
    /// Absent if the body is empty.
    pub code: Option<u16>,
    /// At most 123 bytes.
    pub reason: &'a str,
}

/// Why the body of a Close frame is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// One byte is no code.
    #[error("a close frame holds half a code")]
    HalfCode,
    /// A code that must not be sent.
    #[error("close code `{0}` must not be sent")]
    Code(u16),
    /// The reason is not UTF-8.
    #[error("a close reason is not valid UTF-8")]
    Reason,
}

impl<'a> CloseBody<'a> {
    /// Reads an unmasked payload.
    ///
    /// # Errors
    /// `CloseError` if RFC 6455 forbids to send it.
    pub fn parse(payload: &'a [u8]) -> Result<Self, CloseError> {
        let Some((&raw, reason)) = payload.split_first_chunk::<2>() else {
            return match payload {
                [] => Ok(Self {
                    code: None,
                    reason: "",
                }),
                _ => Err(CloseError::HalfCode),
            };
        };
        let code = u16::from_be_bytes(raw);
        if !may_be_received(code) {
            return Err(CloseError::Code(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| CloseError::Reason)?;
        Ok(Self {
            code: Some(code),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_or_refused() {
        let said = |code, reason| Ok(CloseBody { code, reason });
        let cases: &[(&[u8], Result<CloseBody<'_>, CloseError>)] = &[
            (b"", said(None, "")),
            (b"\x03", Err(CloseError::HalfCode)),
            (b"\x03\xE8", said(Some(1000), "")),
            (b"\x03\xE8bye", said(Some(1000), "bye")),
            (b"\x0F\xA0\xC3\xA9", said(Some(4000), "é")),
            (b"\x03\xE8\xC3", Err(CloseError::Reason)),
            (b"\x03\xED", Err(CloseError::Code(1005))),
        ];
        for (payload, expected) in cases {
            assert_eq!(CloseBody::parse(payload), *expected, "{payload:02x?}");
        }
    }

    #[test]
    fn only_codes_meant_for_the_wire_are_valid() {
        let ranges = [1000..=1003, 1007..=1014, 3000..=4999];
        for code in 0..=u16::MAX {
            let expected = ranges.iter().any(|range| range.contains(&code));
            assert_eq!(may_be_received(code), expected, "{code}");
        }
    }
}
