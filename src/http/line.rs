//! Line ends and controls, byte by byte: what the heads of requests, the heads of answers and the
//! trailers of chunked bodies have in common (RFC 9112 §2.2). CRLF ends a line, nothing else does.

/// Where in its lines a section of lines is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// At the start of a line.
    Start,
    /// Behind at least one byte of a line.
    Text,
    /// Behind the CR of the empty line that ends the section.
    StartCr,
    /// Behind the CR of a line with text.
    TextCr,
}

/// What no line may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFault {
    /// A line feed without carriage return, or the other way round.
    End,
    /// NUL, another control, DEL.
    Control,
}

impl Line {
    /// Where one more byte leads; `None` if it was the last one of the section.
    pub(super) fn after(self, byte: u8) -> Result<Option<Self>, LineFault> {
        let next = match (self, byte) {
            (Self::StartCr, b'\n') => return Ok(None),
            (Self::TextCr, b'\n') => Self::Start,
            (Self::StartCr | Self::TextCr, _) | (_, b'\n') => return Err(LineFault::End),
            (Self::Start, b'\r') => Self::StartCr,
            (Self::Text, b'\r') => Self::TextCr,
            (_, byte) if !is_text(byte) => return Err(LineFault::Control),
            (Self::Start | Self::Text, _) => Self::Text,
        };
        Ok(Some(next))
    }
}

/// How many of the bytes at the start of `bytes` leave a line in [`Line::Text`]: nearly all of a head.
pub(super) fn text_len(bytes: &[u8]) -> usize {
    let all_text = |piece: &&[u8]| {
        piece
            .iter()
            .fold(true, |so_far, &byte| so_far & is_text(byte))
    };
    let whole = PIECE * bytes.chunks_exact(PIECE).take_while(all_text).count();
    let end = bytes[whole..].iter().position(|&byte| !is_text(byte));
    end.map_or(bytes.len(), |end| whole + end)
}

/// Bytes that are looked at together, without a branch for each.
const PIECE: usize = 16;

fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}
