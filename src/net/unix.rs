//! Unix listeners and the file that each has: a stale one is replaced, a live one never.

use super::bind::BACKLOG;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The file of a unix listener. Dropping it removes the file, unless it is another's by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    place: Option<(u64, u64)>,
}

impl SocketFile {
    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            place: fs::symlink_metadata(path).ok().map(place),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let now = fs::symlink_metadata(&self.path).ok().map(place);
        if now.is_some() && now == self.place {
            // Nobody is left to be told; a file that stays is replaced by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds, replacing a socket file that nobody listens on.
pub(super) fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let address = SocketAddrUnix::new(path)?;
    let socket = stream_socket()?;
    match net::bind(&socket, &address) {
        Err(Errno::ADDRINUSE) => {
            make_way(path, &address)?;
            net::bind(&socket, &address)?;
        }
        bound => bound?,
    }
    net::listen(&socket, BACKLOG)?;
    Ok((UnixListener::from(socket), SocketFile::of(path)))
}

/// Removes what a listener that is gone has left behind.
fn make_way(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // Non-blocking: a listener with a full backlog answers EAGAIN instead of holding the start.
    match net::connect(&stream_socket()?, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

fn stream_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn place(file: Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        bind_unix(&path).unwrap();
    }

    #[test]
    fn a_live_listener_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.sock");
        let _other = UnixListener::bind(&path).unwrap();
        let error = bind_unix(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        let error = bind_unix(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn the_file_goes_with_its_listener_and_only_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.sock");
        let first = bind_unix(&path).unwrap();
        // As a successor does that takes the path over.
        fs::rename(&path, folder.path().join("old.sock")).unwrap();
        let second = bind_unix(&path).unwrap();
        drop(first);
        assert!(path.exists(), "it is the successor's");
        drop(second);
        assert!(!path.exists());
    }
}
