//! A session and the server it is with. What goes that way stands in
//! `exchange/route.rs`.

use std::sync::Arc;

use super::backend::Backend;
use crate::agent::session::Session;

/// A session and the server it is with.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) backend: Arc<Backend>,
    pub(crate) session: Arc<Session>,
}
