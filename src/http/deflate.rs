//! Parameters of permessage-deflate in offers and answers (RFC 7692 §7.1).

use super::extension::Extension;
use std::fmt;

/// One offer that a client made, valid in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeflateOffer {
    /// The server shall forget its window after each message.
    pub server_no_context_takeover: bool,
    /// The client will do so.
    pub client_no_context_takeover: bool,
    /// The server shall not use a larger window.
    pub server_max_window_bits: Option<u8>,
    /// Whether and how far the server may limit the window of the client.
    pub client_max_window_bits: Option<ClientWindow>,
}

/// `client_max_window_bits` in an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientWindow {
    /// Without a value: the server may name any.
    Any,
    /// The client will not use a larger one.
    Bits(u8),
}

/// What a server chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeflateAnswer {
    /// The server will forget its window after each message.
    pub server_no_context_takeover: bool,
    /// The client must do so.
    pub client_no_context_takeover: bool,
    /// The server will not use a larger window.
    pub server_max_window_bits: Option<u8>,
    /// The client must not use a larger window.
    pub client_max_window_bits: Option<u8>,
}

impl DeflateOffer {
    /// `None` for other extensions and for parameters that are unknown, repeated or out of range:
    /// such an offer is to be declined, not an error (RFC 7692 §7.1).
    pub(super) fn of(extension: &Extension<'_>) -> Option<Self> {
        let Params {
            server_takeover,
            client_takeover,
            server_bits,
            client_bits,
        } = Params::of(extension)?;
        let client_max_window_bits = match client_bits {
            None => None,
            Some(None) => Some(ClientWindow::Any),
            Some(Some(bits)) => Some(ClientWindow::Bits(bits)),
        };
        Some(Self {
            server_no_context_takeover: server_takeover,
            client_no_context_takeover: client_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits,
        })
    }
}

impl DeflateAnswer {
    /// `None` where `extension` is no valid answer to any offer.
    pub(super) fn of(extension: &Extension<'_>) -> Option<Self> {
        let Params {
            server_takeover,
            client_takeover,
            server_bits,
            client_bits,
        } = Params::of(extension)?;
        // Only an offer may leave the value out.
        let client_max_window_bits = match client_bits {
            None => None,
            Some(bits) => Some(bits?),
        };
        Some(Self {
            server_no_context_takeover: server_takeover,
            client_no_context_takeover: client_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits,
        })
    }

    /// Whether a server may answer this to `offer` (RFC 7692 §7.1.1 and §7.1.2).
    pub fn accepts(&self, offer: &DeflateOffer) -> bool {
        let takeover = self.server_no_context_takeover || !offer.server_no_context_takeover;
        let server_window = match (offer.server_max_window_bits, self.server_max_window_bits) {
            (None, _) => true,
            (Some(most), Some(chosen)) => chosen <= most,
            (Some(_), None) => false,
        };
        let client_window = match (offer.client_max_window_bits, self.client_max_window_bits) {
            (_, None) | (Some(ClientWindow::Any), Some(_)) => true,
            (Some(ClientWindow::Bits(most)), Some(chosen)) => chosen <= most,
            (None, Some(_)) => false,
        };
        takeover && server_window && client_window
    }
}

impl fmt::Display for DeflateOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(
            f,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
        )?;
        write_bits(f, SERVER_WINDOW, self.server_max_window_bits)?;
        match self.client_max_window_bits {
            Some(ClientWindow::Any) => write!(f, "; {CLIENT_WINDOW}"),
            Some(ClientWindow::Bits(bits)) => write_bits(f, CLIENT_WINDOW, Some(bits)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for DeflateAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_flags(
            f,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
        )?;
        write_bits(f, SERVER_WINDOW, self.server_max_window_bits)?;
        write_bits(f, CLIENT_WINDOW, self.client_max_window_bits)
    }
}

fn write_flags(f: &mut fmt::Formatter<'_>, server: bool, client: bool) -> fmt::Result {
    f.write_str(NAME)?;
    if server {
        write!(f, "; {SERVER_TAKEOVER}")?;
    }
    if client {
        write!(f, "; {CLIENT_TAKEOVER}")?;
    }
    Ok(())
}

fn write_bits(f: &mut fmt::Formatter<'_>, name: &str, bits: Option<u8>) -> fmt::Result {
    match bits {
        Some(bits) => write!(f, "; {name}={bits}"),
        None => Ok(()),
    }
}

/// What offers and answers have in common.
#[derive(Default)]
struct Params {
    server_takeover: bool,
    client_takeover: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

impl Params {
    /// `None` for a parameter that is unknown, repeated or out of range.
    fn of(extension: &Extension<'_>) -> Option<Self> {
        if extension.name != NAME {
            return None;
        }
        let mut params = Self::default();
        for param in &extension.params {
            params.add(param.name, param.value.as_deref())?;
        }
        Some(params)
    }

    fn add(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        match (name, value) {
            (SERVER_TAKEOVER, None) if !self.server_takeover => self.server_takeover = true,
            (CLIENT_TAKEOVER, None) if !self.client_takeover => self.client_takeover = true,
            (SERVER_WINDOW, Some(text)) if self.server_bits.is_none() => {
                self.server_bits = Some(window_bits(text)?);
            }
            (CLIENT_WINDOW, None) if self.client_bits.is_none() => self.client_bits = Some(None),
            (CLIENT_WINDOW, Some(text)) if self.client_bits.is_none() => {
                self.client_bits = Some(Some(window_bits(text)?));
            }
            _ => return None,
        }
        Some(())
    }
}

/// 8 to 15, without leading zeros (RFC 7692 §7.1.2.1).
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok()?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    (is_plain && (8..=15).contains(&bits)).then_some(bits)
}

const NAME: &str = "permessage-deflate";
const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

#[cfg(test)]
mod tests {
    use super::super::extension::parse_line;
    use super::*;

    /// The first extension of `line`, read by `of` and written again.
    fn read<T: ToString>(line: &str, of: fn(&Extension<'_>) -> Option<T>) -> Option<String> {
        let mut found = Vec::new();
        parse_line(line, &mut found).unwrap();
        of(&found[0]).map(|value| value.to_string())
    }

    #[test]
    fn valid_parameters_are_kept() {
        for (params, is_answer) in [
            ("", true),
            ("; server_no_context_takeover", true),
            ("; client_no_context_takeover", true),
            ("; server_max_window_bits=8", true),
            ("; client_max_window_bits", false),
            ("; client_max_window_bits=15", true),
            (
                "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9",
                true,
            ),
        ] {
            let line = format!("permessage-deflate{params}");
            assert_eq!(read(&line, DeflateOffer::of).as_ref(), Some(&line));
            let answer = is_answer.then_some(&line);
            assert_eq!(read(&line, DeflateAnswer::of).as_ref(), answer);
        }
        let quoted = "permessage-deflate; server_max_window_bits=\"10\"";
        let plain = "permessage-deflate; server_max_window_bits=10";
        assert_eq!(read(quoted, DeflateOffer::of).as_deref(), Some(plain));
    }

    #[test]
    fn invalid_parameters_decline_the_offer() {
        for line in [
            "x-webkit-deflate-frame",
            "Permessage-Deflate",
            "permessage-deflate; foo",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=08",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=999",
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=0",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        ] {
            assert_eq!(read(line, DeflateOffer::of), None, "{line}");
            assert_eq!(read(line, DeflateAnswer::of), None, "{line}");
        }
    }

    #[test]
    fn answers_stay_within_the_offer() {
        const SERVER: &str = "; server_max_window_bits=10";
        for (offer, answer, expected) in [
            ("", "", true),
            (
                "",
                "; server_no_context_takeover; client_no_context_takeover",
                true,
            ),
            ("; server_no_context_takeover", "", false),
            (
                "; server_no_context_takeover",
                "; server_no_context_takeover",
                true,
            ),
            ("; client_no_context_takeover", "", true),
            ("", SERVER, true),
            (SERVER, "", false),
            (SERVER, SERVER, true),
            (SERVER, "; server_max_window_bits=9", true),
            (SERVER, "; server_max_window_bits=11", false),
            ("", "; client_max_window_bits=15", false),
            ("; client_max_window_bits", "", true),
            (
                "; client_max_window_bits",
                "; client_max_window_bits=15",
                true,
            ),
            ("; client_max_window_bits=10", "", true),
            (
                "; client_max_window_bits=10",
                "; client_max_window_bits=10",
                true,
            ),
            (
                "; client_max_window_bits=10",
                "; client_max_window_bits=11",
                false,
            ),
        ] {
            let mut found = Vec::new();
            let lines = [offer, answer].map(|params| format!("permessage-deflate{params}"));
            parse_line(&lines[0], &mut found).unwrap();
            parse_line(&lines[1], &mut found).unwrap();
            let offered = DeflateOffer::of(&found[0]).unwrap();
            let answered = DeflateAnswer::of(&found[1]).unwrap();
            assert_eq!(answered.accepts(&offered), expected, "{lines:?}");
        }
    }
}
