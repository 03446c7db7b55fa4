//! Live sessions about which a service is asked from time to time: one task each, which ends with the
//! session, and ends it where the service no longer vouches for it.

use crate::admission::auth::{Proof, Recheck};
use crate::relay::{CloseOrder, GatewayEnd};
use crate::session::Session;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// The tasks of one session. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Rechecks(Vec<AbortHandle>);

impl Rechecks {
    /// Those that `proofs` ask for; `None`: none do.
    pub(super) fn wanted(proofs: Vec<Proof>) -> Option<Box<[Arc<Recheck>]>> {
        let wanted: Box<[_]> = proofs
            .into_iter()
            .filter_map(|proof| proof.recheck)
            .collect();
        (!wanted.is_empty()).then_some(wanted)
    }

    /// Begins them, on the thread that carries `session`.
    pub(super) fn begin(wanted: &[Arc<Recheck>], session: &Arc<Session>) -> Box<Self> {
        let begin = |recheck: &Arc<Recheck>| {
            let task = end_when_over(Arc::clone(recheck), Arc::clone(session));
            tokio::spawn(task).abort_handle()
        };
        Box::new(Self(wanted.iter().map(begin).collect()))
    }
}

impl Drop for Rechecks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn end_when_over(recheck: Arc<Recheck>, session: Arc<Session>) {
    let over = recheck.over().await;
    tracing::info!(
        request_id = session.request_id(),
        identity = session.identity(),
        why = %over.why,
        "a session is no longer vouched for"
    );
    session.control().close(CloseOrder {
        code: over.code,
        reason: "the credential is no longer good".into(),
        why: GatewayEnd::Revoked,
    });
}
