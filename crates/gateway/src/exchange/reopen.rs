//! Opens a session again that its upstream lost, and repeats what the agent had
//! arranged in it.

use std::sync::Arc;

use bytes::Bytes;
use provost_store::Status;
use tracing::info;

use super::route::exchange;
use crate::host::deadline;
use crate::message::cleared::Cleared;
use crate::message::fault::Fault;
use crate::message::outgoing::Outgoing;
use crate::stage::{ask, settle};
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::envelope::is_result;
use crate::text::headers::SESSION_ID;
use crate::text::protocol::INITIALIZED;
use crate::upstream::Upstream;
use crate::upstream::http::{HttpUpstream, SessionHeaders};

/// Why an upstream is told what was said in the session it lost.
const AGAIN: &str = "an upstream session is opened again";

// === impl Route ===

impl Route {
    /// Opens a lost upstream session again, if nobody else did in the meantime.
    pub(crate) async fn restore(&self, worker: &Worker) -> Result<(), Fault> {
        match self.upstream()? {
            Upstream::Http(http) => {
                let generation = self.session.state().generation;
                Box::pin(self.reopen(worker, http, generation)).await
            }
            Upstream::Stdio(_) | Upstream::Builtin(_) => Ok(()),
        }
    }

    /// Opens it again, unless that was done since this generation of it.
    pub(super) async fn reopen(
        &self,
        worker: &Worker,
        http: &Arc<HttpUpstream>,
        generation: u64,
    ) -> Result<(), Fault> {
        let limit = worker.shared.settings.call_timeout;
        let _reopening = deadline::lock(limit, &self.session.reopening)
            .await
            .map_err(|_| Fault::queue_timeout())?;
        let opening = {
            let state = self.session.state();
            if state.over.is_some() {
                return Err(Fault::not_sent());
            }
            if state.generation != generation {
                return Ok(());
            }
            state.opening.clone()
        };
        let opening = opening.ok_or_else(Fault::not_sent)?;
        let opening = Cleared::own(AGAIN, opening);
        let sending = opening.sending(self.session.account());
        let answer = http.post(worker.number, sending, SessionHeaders::default());
        let answer = answer.await.map_err(Fault::before_sending)?;
        let upstream = answer.header(&SESSION_ID).map(str::to_owned);
        let limit = worker.shared.settings.result_limit;
        let exchange = exchange(answer, self.session.account(), worker)
            .await
            .map_err(Fault::before_sending)?;
        let opened = exchange
            .answer(limit, self.session.account())
            .await
            .is_ok_and(|m| is_result(&m));
        if !opened {
            return Err(Fault::not_sent());
        }
        {
            let mut state = self.session.state();
            state.upstream = upstream;
            state.generation += 1;
        }
        info!(server.name = %self.backend.server.name, "Opened a lost session with server `{}` again", self.backend.server.name);
        let initialized = Cleared::own(AGAIN, Bytes::from_static(INITIALIZED));
        let told = self.post(worker, http, initialized.sending()).await;
        told.map_err(Fault::before_sending)?;
        self.repeat_standing(worker, http).await;
        Ok(())
    }

    /// Repeats what the agent had arranged in the session that was lost.
    async fn repeat_standing(&self, worker: &Worker, http: &Arc<HttpUpstream>) {
        let level = self.session.state().arrangements.level();
        if let Some(level) = level {
            let level = Cleared::own(AGAIN, level);
            self.repeat(worker, http, &level).await;
        }
        let subscriptions = self.session.state().arrangements.subscriptions();
        for message in subscriptions {
            let again = ask::subscribe_again(&worker.shared, &self.session, message);
            let Some((message, open_call)) = again else {
                return;
            };
            let status = self.repeat(worker, http, &message).await;
            settle::settle(&worker.shared, &open_call, status);
        }
    }

    /// Asks for something again. Whatever the server answers, the agent had its
    /// answer long ago.
    async fn repeat(
        &self,
        worker: &Worker,
        http: &Arc<HttpUpstream>,
        message: &Cleared<Outgoing>,
    ) -> Status {
        let limit = worker.shared.settings.result_limit;
        let account = self.session.account();
        let answered = async {
            let exchange = self.post(worker, http, message.sending(account)).await?;
            exchange.answer(limit, account).await
        };
        match answered.await {
            Ok(answer) if is_result(&answer) => Status::Ok,
            Ok(_) => Status::RpcError,
            Err(fault) => fault.ending(&self.backend.server.name).0,
        }
    }
}
