//! Whom a message comes from.

use std::sync::Arc;

use provost_policy::Text;
use provost_store::{GrantId, ServerId};
use tokio_util::sync::CancellationToken;

use crate::host::budget::Account;
use crate::host::metrics::Counts;

/// Whom a grant belongs to: names alone, which open nothing and may be kept for
/// as long as a message takes.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) grant: GrantId,
    pub(crate) label: Text,
    pub(crate) server: ServerId,
    pub(crate) server_name: Text,
    /// Where its calls are counted.
    pub(crate) counts: Arc<Counts>,
    /// What is held, and what is on its way, for it.
    pub(crate) account: Arc<Account>,
    /// The same for its server.
    pub(crate) server_account: Arc<Account>,
    /// Cancelled when the grant ends or gets another token: what was opened with
    /// this one ends with it.
    pub(crate) ended: CancellationToken,
}
