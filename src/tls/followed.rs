//! What is made of files that change: one atomic pointer to what it is now.
//!
//! A change swaps all of it at once, connections that are established don't notice, and a file that
//! is wrong changes nothing.

use super::error::TlsError;
use super::expiry::{self, Expiry};
use crate::follow::Follower;
use arc_swap::{ArcSwap, Guard};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// What is made of files.
pub(super) trait Material: Sized + Send + Sync + 'static {
    /// What names the files.
    type Settings: Clone + Send + 'static;

    /// Reads every file; one that is wrong is an error for all. `before` is what was made of them
    /// the last time.
    fn load(settings: &Self::Settings, before: Option<&Self>) -> Result<Self, TlsError>;

    /// The files.
    fn files(settings: &Self::Settings) -> Vec<PathBuf>;

    /// What of it ends by itself.
    fn expiries(&self) -> &[Expiry];
}

/// Material and its files.
#[derive(Debug)]
pub(super) struct Followed<M: Material> {
    settings: M::Settings,
    current: ArcSwap<M>,
    /// Asynchronous, since it is held while waiting for a change.
    follower: Mutex<Follower>,
}

impl<M: Material> Followed<M> {
    /// Reads the files.
    pub(super) fn load(settings: M::Settings) -> Result<Self, TlsError> {
        // Before the first read, so that a change in between is seen.
        let follower = Follower::new(M::files(&settings));
        let current = M::load(&settings, None)?;
        Ok(Self {
            settings,
            current: ArcSwap::from_pointee(current),
            follower: Mutex::new(follower),
        })
    }

    /// As it is now.
    pub(super) fn now(&self) -> Guard<Arc<M>> {
        self.current.load()
    }

    /// The same, to be kept.
    pub(super) fn kept(&self) -> Arc<M> {
        self.current.load_full()
    }

    /// Follows the files and tells once a day what expires; never ends. What cannot be used is
    /// logged, and what is in use stays. Dropping the future ends the following.
    /// `changed` is told what it was and what it is now.
    pub(super) async fn follow(&self, changed: &(dyn Fn(&M, &M) + Send + Sync)) {
        let daily = expiry::tell_daily(|| self.kept().expiries().to_vec());
        tokio::join!(self.follow_files(changed), daily);
    }

    async fn follow_files(&self, changed: &(dyn Fn(&M, &M) + Send + Sync)) {
        let mut follower = self.follower.lock().await;
        loop {
            follower.changed().await;
            let before = self.kept();
            match self.reload().await {
                Ok(()) => {
                    tracing::info!("certificates reloaded");
                    changed(&before, &self.kept());
                    self.kept().expiries().iter().for_each(Expiry::tell);
                }
                Err(error) => {
                    tracing::warn!(%error, "new certificates cannot be used, the old ones stay");
                }
            }
        }
    }

    pub(super) async fn reload(&self) -> Result<(), TlsError> {
        let (settings, before) = (self.settings.clone(), self.kept());
        // Reading is short, but a network file system may make it long.
        let loaded = spawn_blocking(move || M::load(&settings, Some(&before))).await;
        match loaded {
            Ok(now) => self.current.store(Arc::new(now?)),
            // The runtime is ending; nobody is left who would need it.
            Err(error) => tracing::debug!(%error, "certificates were not read"),
        }
        Ok(())
    }
}
