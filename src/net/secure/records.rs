//! Having rustls work on records until it wants something that only the caller has.
//!
//! rustls' unbuffered interface is a machine that is asked again and again what is next; here is the
//! one loop that asks. What it has to say goes to the connection's pending ciphertext, what the peer
//! said goes to whoever reads.

use std::io;
use tokio::io::ReadBuf;
use tokio_rustls::rustls::Error;
use tokio_rustls::rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use tokio_rustls::rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use tokio_rustls::rustls::unbuffered::{
    AppDataRecord, ConnectionState, EncodeError, EncodeTlsData, EncryptError, ReadTraffic,
    UnbufferedStatus, WriteTraffic,
};

/// One end of a TLS connection.
pub(super) trait End {
    /// What rustls keeps for this kind of end.
    type Data;

    /// rustls' own, which each kind of end has separately.
    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// Whether rustls has something to say of its own.
    fn has_words(&self) -> bool;
}

impl End for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn has_words(&self) -> bool {
        self.wants_write()
    }
}

impl End for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }

    fn has_words(&self) -> bool {
        self.wants_write()
    }
}

/// Where what comes out of records goes.
pub(super) struct Sink<'a, 'b> {
    /// Plaintext, as far as it fits.
    pub(super) reader: &'a mut ReadBuf<'b>,
    /// The rest of it.
    pub(super) overflow: &'a mut Vec<u8>,
    /// Ciphertext for the peer.
    pub(super) pending: &'a mut Vec<u8>,
    /// Set once the peer has said that nothing more comes.
    pub(super) is_closed: &'a mut bool,
}

/// What is to be said to the peer.
#[derive(Clone, Copy)]
pub(super) enum Words<'a> {
    Nothing,
    Plaintext(&'a [u8]),
    /// That nothing more comes.
    Goodbye,
}

/// How far rustls came.
pub(super) struct Progress {
    /// How many bytes are used up.
    pub(super) used: usize,
    /// The length of what was sealed: none where the connection does not take words (yet, or any more).
    pub(super) sealed: Option<usize>,
}

/// Takes everything that is whole out of `bytes`, then says `words`, encrypted into `room`.
///
/// Inlined, as who only listens has a shorter way to go than who speaks.
#[inline(always)]
pub(super) fn advance<E: End>(
    end: &mut E,
    bytes: &mut [u8],
    sink: &mut Sink<'_, '_>,
    words: Words<'_>,
    room: &mut [u8],
) -> io::Result<Progress> {
    let mut used = 0;
    loop {
        let mut status = end.process(&mut bytes[used..]);
        used += status.discard;
        let mut has_read = false;
        // Handled where it lies: to move rustls' answer costs as much as all the rest here.
        match status.state {
            Ok(ConnectionState::ReadTraffic(ref mut traffic)) => {
                used += sink.read(traffic)?;
                has_read = true;
            }
            Ok(ConnectionState::WriteTraffic(ref mut traffic)) => {
                let sealed = say(traffic, words, room)?;
                return Ok(Progress { used, sealed });
            }
            Ok(ConnectionState::EncodeTlsData(ref mut data)) => encode(data, sink.pending)?,
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => *sink.is_closed = true,
            Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
                return Ok(Progress { used, sealed: None });
            }
            // Early data is never asked for and never accepted.
            Ok(_) => return Err(broken(Error::General("an unknown state of TLS".to_owned()))),
            Err(error) => return Err(broken(error)),
        }
        if has_read && used == bytes.len() && matches!(words, Words::Nothing) && !end.has_words() {
            // As nearly always: to ask again would be to hear that nothing is left.
            return Ok(Progress { used, sealed: None });
        }
    }
}

/// Takes what rustls has to say after an error: the alert. It says that before it looks at any bytes,
/// and must not look at more of them.
pub(super) fn last_words<E: End>(end: &mut E, sink: &mut Sink<'_, '_>) {
    while end.has_words() {
        let said = match end.process(&mut []).state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => sink.read(&mut traffic),
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut data, sink.pending).map(|()| 0)
            }
            _ => return,
        };
        if said.is_err() {
            return;
        }
    }
}

fn say<D>(
    traffic: &mut WriteTraffic<'_, D>,
    words: Words<'_>,
    room: &mut [u8],
) -> io::Result<Option<usize>> {
    let said = match words {
        Words::Nothing => return Ok(None),
        Words::Plaintext(plain) => traffic.encrypt(plain, room),
        Words::Goodbye => traffic.queue_close_notify(room),
    };
    match said {
        Ok(len) => Ok(Some(len)),
        Err(EncryptError::EncryptExhausted) => Err(broken(Error::EncryptError)),
        Err(EncryptError::InsufficientSize(_)) => Err(broken(Error::General(
            "a record is larger than the room for it".to_owned(),
        ))),
    }
}

impl Sink<'_, '_> {
    /// Takes the plaintext of all records that are there; says how many bytes more are used up by that.
    #[inline]
    fn read<D>(&mut self, traffic: &mut ReadTraffic<'_, '_, D>) -> io::Result<usize> {
        let mut used = 0;
        while let Some(record) = traffic.next_record() {
            let AppDataRecord {
                payload, discard, ..
            } = record.map_err(broken)?;
            self.take(payload);
            used += discard;
        }
        Ok(used)
    }

    #[inline]
    fn take(&mut self, plain: &[u8]) {
        // Order holds: once something has overflowed, everything behind it does.
        if self.overflow.is_empty() && plain.len() <= self.reader.remaining() {
            self.reader.put_slice(plain);
        } else {
            self.overflow_with(plain);
        }
    }

    #[cold]
    fn overflow_with(&mut self, plain: &[u8]) {
        let fits = match self.overflow.is_empty() {
            true => self.reader.remaining(),
            false => 0,
        };
        self.reader.put_slice(&plain[..fits]);
        self.overflow.extend_from_slice(&plain[fits..]);
    }
}

/// Has what rustls says of its own wait behind what is pending.
fn encode<D>(data: &mut EncodeTlsData<'_, D>, pending: &mut Vec<u8>) -> io::Result<()> {
    let start = pending.len();
    let encoded = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(needed)) => {
            pending.resize(start + needed.required_size, 0);
            data.encode(&mut pending[start..])
        }
        encoded => encoded,
    };
    match encoded {
        Ok(_) => Ok(()),
        Err(error) => Err(broken(Error::General(error.to_string()))),
    }
}

/// rustls' error as one of a stream.
#[cold]
fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
