//! Our end against rustls' buffered one, over pipes that take as little as they like.

use super::*;
use proptest::{collection, prelude::*};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    AlertDescription, ClientConfig, Error, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// Settings of a server, and of a client that trusts it.
struct Scene {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// Which end is ours.
#[derive(Debug, Clone, Copy)]
enum Ours {
    Server,
    Client,
}

const BOTH: [Ours; 2] = [Ours::Server, Ours::Client];

/// A pipe that a handshake fits in.
const ROOMY: usize = 64 * 1024;

static NEWEST: LazyLock<Scene> = LazyLock::new(|| Scene::of(&TLS13));
static OLDEST: LazyLock<Scene> = LazyLock::new(|| Scene::of(&TLS12));

impl Scene {
    fn of(version: &'static SupportedProtocolVersion) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["one.test".to_owned()]).unwrap();
        let provider = Arc::new(default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            server: Arc::new(server),
            client: Arc::new(client),
        }
    }

    fn ours<S>(&self, ours: Ours, io: S) -> Secure<S> {
        match ours {
            Ours::Server => {
                let end = UnbufferedServerConnection::new(self.server.clone());
                Secure::server(io, end.unwrap(), Vec::new())
            }
            Ours::Client => {
                let end = UnbufferedClientConnection::new(self.client.clone(), name());
                Secure::client(io, end.unwrap())
            }
        }
    }

    async fn theirs(&self, ours: Ours, io: DuplexStream) -> io::Result<TlsStream<DuplexStream>> {
        match ours {
            Ours::Server => {
                let connector = TlsConnector::from(self.client.clone());
                Ok(connector.connect(name(), io).await?.into())
            }
            Ours::Client => {
                let acceptor = TlsAcceptor::from(self.server.clone());
                Ok(acceptor.accept(io).await?.into())
            }
        }
    }

    async fn meet(&self, ours: Ours) -> (Secure<DuplexStream>, TlsStream<DuplexStream>) {
        let (near, far) = duplex(ROOMY);
        let mut stream = self.ours(ours, near);
        let (shaken, theirs) = tokio::join!(stream.handshake(), self.theirs(ours, far));
        shaken.unwrap();
        (stream, theirs.unwrap())
    }
}

/// Gives and takes a byte at a time.
struct Trickle(DuplexStream);

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut one = [0];
        let mut room = ReadBuf::new(&mut one);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut room))?;
        buf.put_slice(room.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..buf.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Notes how long each write is.
struct Noted(DuplexStream, Arc<Mutex<Vec<usize>>>);

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.lock().unwrap().push(buf.len());
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from("one.test").unwrap()
}

/// What rustls says behind an error of a stream.
fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 251) as u8).collect()
}

/// Says all `pieces`, then goodbye, and hears the other end out.
async fn converse<S>(stream: S, pieces: &[usize], read_size: usize) -> Vec<u8>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut read, mut write) = split(stream);
    let say = async {
        for piece in pieces {
            write.write_all(&bytes(*piece)).await.unwrap();
            write.flush().await.unwrap();
        }
        write.shutdown().await.unwrap();
    };
    let hear = async {
        let (mut all, mut buffer) = (Vec::new(), vec![0; read_size]);
        loop {
            match read.read(&mut buffer).await.unwrap() {
                0 => return all,
                len => all.extend_from_slice(&buffer[..len]),
            }
        }
    };
    tokio::join!(say, hear).1
}

/// A whole life over a pipe with so much room.
async fn live<S>(
    scene: &Scene,
    ours: Ours,
    (near, far): (S, DuplexStream),
    pieces: &[usize],
    read_size: usize,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = scene.ours(ours, near);
    let here = async {
        stream.handshake().await.unwrap();
        converse(stream, pieces, read_size).await
    };
    let there = async {
        let stream = scene.theirs(ours, far).await.unwrap();
        converse(stream, pieces, 4096).await
    };
    let (heard_here, heard_there) = tokio::join!(here, there);
    let said: Vec<u8> = pieces.iter().flat_map(|piece| bytes(*piece)).collect();
    assert!(heard_here == said, "{ours:?} did not hear what was said");
    assert!(heard_there == said, "{ours:?} did not say what it should");
}

fn run(job: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(job);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_chunking_carries_the_same(
        room in prop_oneof![16_usize..200, 200_usize..40_000],
        pieces in collection::vec(0_usize..20_000, 0..5),
        read_size in prop_oneof![1_usize..64, 64_usize..40_000],
        is_server: bool,
        is_newest: bool,
    ) {
        let scene: &Scene = if is_newest { &NEWEST } else { &OLDEST };
        let ours = if is_server { Ours::Server } else { Ours::Client };
        run(live(scene, ours, duplex(room), &pieces, read_size));
    }
}

#[tokio::test]
async fn a_byte_at_a_time_is_enough() {
    for scene in [&*NEWEST, &*OLDEST] {
        for ours in BOTH {
            let (near, far) = duplex(ROOMY);
            live(scene, ours, (Trickle(near), far), &[1, 300, 0, 5], 7).await;
        }
    }
}

#[tokio::test]
async fn more_than_a_chunk_passes_a_peer_that_takes_little() {
    for ours in BOTH {
        let pieces = [3 * PLAIN_CHUNK + 1, PLAIN_CHUNK];
        live(&NEWEST, ours, duplex(5000), &pieces, 100_000).await;
    }
}

#[tokio::test]
async fn what_a_client_said_before_the_connection_was_made_is_heard() {
    let (near, mut far) = duplex(ROOMY);
    let connector = TlsConnector::from(NEWEST.client.clone());
    let client = tokio::spawn(connector.connect(name(), near));
    let mut heard = vec![0; 100];
    far.read_exact(&mut heard).await.unwrap();
    let end = UnbufferedServerConnection::new(NEWEST.server.clone()).unwrap();
    let mut stream = Secure::server(far, end, heard);
    stream.handshake().await.unwrap();
    let mut client = client.await.unwrap().unwrap();
    client.write_all(b"early").await.unwrap();
    let mut word = [0; 5];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"early");
}

#[tokio::test]
async fn words_go_out_whenever_what_came_is_unfinished() {
    // Even what the server says of its own takes many records, and each of them many reads.
    let mut server = ServerConfig::clone(&NEWEST.server);
    server.max_fragment_size = Some(64);
    let scene = Scene {
        server: Arc::new(server),
        client: NEWEST.client.clone(),
    };
    for ours in BOTH {
        let (near, far) = duplex(16);
        let mut stream = scene.ours(ours, near);
        let here = async {
            stream.handshake().await.unwrap();
            let said = murmur(&mut stream, &bytes(500)).await;
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
            said
        };
        let there = async {
            let stream = scene.theirs(ours, far).await.unwrap();
            converse(stream, &[500], 64).await
        };
        let (said, heard) = tokio::join!(here, there);
        assert!(said > 1, "{ours:?} was never interrupted");
        assert_eq!(heard, vec![b'm'; said], "{ours:?}");
    }
}

/// Hears `expected`, and says a byte whenever the rest of something is awaited. Returns how many.
async fn murmur(stream: &mut Secure<DuplexStream>, expected: &[u8]) -> usize {
    let mut all = vec![0; expected.len()];
    let (mut heard, mut said) = (0, 0);
    poll_fn(|cx| {
        while heard < all.len() {
            let mut room = ReadBuf::new(&mut all[heard..]);
            let read = Pin::new(&mut *stream).poll_read(cx, &mut room);
            heard += room.filled().len();
            if read.is_pending() {
                if !stream.partial.is_empty() {
                    let word = Pin::new(&mut *stream).poll_write(cx, b"m");
                    said += usize::from(word.is_ready());
                }
                return Poll::Pending;
            }
            assert!(matches!(read, Poll::Ready(Ok(()))));
        }
        Poll::Ready(())
    })
    .await;
    assert!(all == expected);
    said
}

#[tokio::test]
async fn an_idle_connection_owns_no_buffer() {
    for ours in BOTH {
        let (mut stream, mut theirs) = NEWEST.meet(ours).await;
        theirs.write_all(&bytes(50_000)).await.unwrap();
        theirs.flush().await.unwrap();
        stream.read_exact(&mut [0; 50_000]).await.unwrap();
        stream.write_all(&bytes(50_000)).await.unwrap();
        stream.flush().await.unwrap();
        let kept = [&stream.partial, &stream.plain, &stream.pending].map(Vec::capacity);
        assert_eq!(kept, [0; 3], "{ours:?}");
    }
}

#[tokio::test]
async fn a_peer_that_takes_nothing_has_one_chunk_waiting_at_most() {
    let (mut stream, _theirs) = NEWEST.meet(Ours::Server).await;
    let all = bytes(10 * PLAIN_CHUNK);
    let mut taken = 0;
    poll_fn(|cx| {
        while let Poll::Ready(len) = Pin::new(&mut stream).poll_write(cx, &all[taken..]) {
            taken += len.unwrap();
        }
        Poll::Ready(())
    })
    .await;
    assert!(stream.pending.len() <= 2 * PLAIN_CHUNK);
    assert!(taken <= ROOMY + PLAIN_CHUNK, "{taken}");
}

#[tokio::test]
async fn each_side_may_go_on_after_the_others_goodbye() {
    for ours in BOTH {
        let (mut stream, mut theirs) = NEWEST.meet(ours).await;
        theirs.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0, "{ours:?}");
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0, "and stays so");
        stream.write_all(b"still here").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"still here");

        let (mut stream, mut theirs) = NEWEST.meet(ours).await;
        stream.shutdown().await.unwrap();
        assert_eq!(theirs.read(&mut [0; 9]).await.unwrap(), 0);
        theirs.write_all(b"still here").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"still here");
    }
}

#[tokio::test]
async fn tickets_go_with_the_first_words_and_the_last_words_with_the_goodbye() {
    let (near, far) = duplex(ROOMY);
    let writes = Arc::<Mutex<Vec<usize>>>::default();
    let mut stream = NEWEST.ours(Ours::Server, Noted(near, writes.clone()));
    let client = NEWEST.theirs(Ours::Server, far);
    let (shaken, theirs) = tokio::join!(stream.handshake(), client);
    let mut theirs = theirs.unwrap();
    shaken.unwrap();
    let since = |before: usize| writes.lock().unwrap().len() - before;
    assert_eq!(since(0), 1, "the server's flight");

    stream.flush().await.unwrap();
    assert_eq!(since(1), 0, "nobody waits for tickets");
    stream.write_all(b"first").await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(since(1), 1);
    let mut word = [0; 5];
    theirs.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"first");

    stream.expect_end();
    stream.write_all(b"last").await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(since(2), 0);
    poll_fn(|cx| stream.poll_goodbye(cx)).await.unwrap();
    assert_eq!(since(2), 1);
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last");
}

#[tokio::test]
async fn who_leaves_without_a_word_has_tickets_all_the_same() {
    let (mut stream, mut theirs) = NEWEST.meet(Ours::Server).await;
    stream.shutdown().await.unwrap();
    assert!(stream.pending.is_empty());
    assert_eq!(theirs.read(&mut [0; 9]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_end_without_a_goodbye_is_an_error() {
    for ours in BOTH {
        let (mut stream, mut theirs) = NEWEST.meet(ours).await;
        theirs.write_all(b"and").await.unwrap();
        theirs.flush().await.unwrap();
        drop(theirs);
        let mut heard = Vec::new();
        let error = stream.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(heard, b"and", "{ours:?}");
    }
}

#[tokio::test]
async fn an_end_within_the_handshake_is_an_error() {
    for ours in BOTH {
        let (near, far) = duplex(ROOMY);
        drop(far);
        let error = NEWEST.ours(ours, near).handshake().await.unwrap_err();
        let expected = match ours {
            Ours::Server => io::ErrorKind::UnexpectedEof,
            Ours::Client => io::ErrorKind::BrokenPipe,
        };
        assert_eq!(error.kind(), expected);
    }
}

#[tokio::test]
async fn new_keys_are_taken_and_answered() {
    for ours in BOTH {
        let (mut stream, mut theirs) = NEWEST.meet(ours).await;
        for _ in 0..3 {
            let refreshed = match &mut theirs {
                TlsStream::Client(theirs) => theirs.get_mut().1.refresh_traffic_keys(),
                TlsStream::Server(theirs) => theirs.get_mut().1.refresh_traffic_keys(),
            };
            refreshed.unwrap();
            theirs.write_all(b"new").await.unwrap();
            theirs.flush().await.unwrap();
            let mut word = [0; 3];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
            stream.flush().await.unwrap();
            theirs.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"new", "{ours:?}");
        }
    }
}

#[tokio::test]
async fn who_refuses_says_why_and_who_is_refused_hears_it() {
    let stranger = Scene::of(&TLS13);
    let mixed = Scene {
        server: NEWEST.server.clone(),
        client: stranger.client,
    };
    for ours in BOTH {
        let (near, far) = duplex(ROOMY);
        let mut stream = mixed.ours(ours, near);
        let there = async {
            let mut stream = mixed.theirs(ours, far).await?;
            // Only now does a client hear of a server's refusal.
            stream.read(&mut [0]).await
        };
        let (here, there) = tokio::join!(stream.handshake(), there);
        let (here, there) = (here.unwrap_err(), there.unwrap_err());
        let (refuser, refused) = match ours {
            Ours::Client => (&here, &there),
            Ours::Server => (&there, &here),
        };
        assert!(matches!(cause(refuser), Some(Error::InvalidCertificate(_))));
        assert!(matches!(cause(refused), Some(Error::AlertReceived(_))));
        // Nothing more comes of it, and nothing worse.
        assert!(stream.write(b"word").await.is_err(), "{ours:?}");
        let _ = stream.shutdown().await;
    }
}

#[tokio::test]
async fn a_forged_record_ends_the_connection_with_an_alert() {
    for ours in BOTH {
        let (mut stream, mut theirs) = NEWEST.meet(ours).await;
        let forged = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
        theirs.get_mut().0.write_all(&forged).await.unwrap();
        let error = stream.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(cause(&error), Some(&Error::DecryptError));
        assert!(stream.read(&mut [0; 9]).await.is_err());
        assert!(stream.write(b"word").await.is_err());
        let _ = stream.shutdown().await;
        let error = theirs.read(&mut [0; 9]).await.unwrap_err();
        let alert = Error::AlertReceived(AlertDescription::BadRecordMac);
        assert_eq!(cause(&error), Some(&alert), "{ours:?}");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let (near, mut far) = duplex(ROOMY);
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut stream = NEWEST.ours(Ours::Server, near);
    let error = stream.handshake().await.unwrap_err();
    assert!(matches!(cause(&error), Some(Error::InvalidMessage(_))));
}
