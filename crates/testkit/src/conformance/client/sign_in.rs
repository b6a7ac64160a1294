//! OAuth, only when a server asks for it: its challenge is answered with a sign-in, and the visit begins anew.

use std::collections::BTreeSet;
use std::error::Error;

use anyhow::{Context, Result, ensure};
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::AuthorizationManager;
use rmcp::transport::auth::{AuthorizationRequest, OAuthState, WWWAuthenticateParams};
use rmcp::transport::streamable_http_client::{AuthRequiredError, InsufficientScopeError};

use super::scenario::Configured;

/// Where the harness expects a client's own description, for servers that accept such a URL as a client id.
const DESCRIPTION: &str = "https://conformance-test.local/client-metadata.json";

/// Nobody listens there: the code is read from the redirect itself.
const REDIRECT: &str = "http://localhost:3000/callback";

/// A server that is never content must not be asked for ever.
const SIGN_INS: usize = 3;

/// The header `WWW-Authenticate` of a refusal.
#[derive(Debug, Clone)]
pub(super) struct Challenge(String);

/// Sign-ins to one server.
pub(super) struct SignIn<'a> {
    url: &'a str,
    configured: &'a Configured,
    /// What was granted so far; a new sign-in asks for more, never for less.
    scopes: BTreeSet<String>,
    times: usize,
    manager: Option<AuthorizationManager>,
}

// === impl Challenge ===

impl Challenge {
    /// The challenge behind an error, if there is one.
    pub(super) fn of(error: &anyhow::Error) -> Option<Challenge> {
        if let Some(error) = error.downcast_ref::<ClientInitializeError>() {
            return error
                .auth_challenge()
                .map(|header| Challenge(header.to_owned()));
        }
        match error.downcast_ref()? {
            ServiceError::TransportSend(error) => in_chain(error.error.as_ref()),
            _ => None,
        }
    }
}

fn in_chain(error: &(dyn Error + 'static)) -> Option<Challenge> {
    let mut link = Some(error);
    while let Some(error) = link {
        if let Some(error) = error.downcast_ref::<AuthRequiredError>() {
            return Some(Challenge(error.www_authenticate_header.clone()));
        }
        if let Some(error) = error.downcast_ref::<InsufficientScopeError>() {
            return Some(Challenge(error.www_authenticate_header.clone()));
        }
        link = error.source();
    }
    None
}

// === impl SignIn ===

impl<'a> SignIn<'a> {
    pub(super) fn new(url: &'a str, configured: &'a Configured) -> Self {
        Self {
            url,
            configured,
            scopes: BTreeSet::new(),
            times: 0,
            manager: None,
        }
    }

    /// Whoever adds the token to requests: none until a server asked for one.
    pub(super) async fn manager(&mut self) -> Result<AuthorizationManager> {
        match self.manager.take() {
            Some(manager) => Ok(manager),
            None => Ok(AuthorizationManager::new(self.url).await?),
        }
    }

    /// Signs in as the challenge says.
    pub(super) async fn answer(&mut self, challenge: &Challenge) -> Result<()> {
        self.times += 1;
        ensure!(
            self.times <= SIGN_INS,
            "signed in {SIGN_INS} times, and the server is not content"
        );
        let mut state = OAuthState::new(self.url, None).await?;
        state.start_authorization(self.request(challenge)?).await?;
        let asked = state.get_authorization_url().await?;
        let redirect = consent(&asked).await?;
        state.handle_callback_url(&redirect).await?;
        let manager = state
            .into_authorization_manager()
            .context("not signed in")?;
        self.scopes.extend(manager.get_current_scopes().await);
        self.manager = Some(manager);
        Ok(())
    }

    fn request(&self, challenge: &Challenge) -> Result<AuthorizationRequest> {
        let mut request = AuthorizationRequest::new(REDIRECT)
            .with_initial_scope_selection()
            .with_client_name("provost-conformance-client")
            .with_client_metadata_url(DESCRIPTION)
            .with_challenge(&challenge.0);
        if let Some(id) = &self.configured.client_id {
            request = request.with_preregistered_client(id);
        }
        if let Some(secret) = &self.configured.client_secret {
            request = request.with_client_secret(secret);
        }
        if !self.scopes.is_empty() {
            let wanted = WWWAuthenticateParams::parse(&challenge.0, &self.url.parse()?).scope;
            let wanted = wanted.unwrap_or_default();
            let mut scopes = self.scopes.clone();
            scopes.extend(wanted.split_whitespace().map(str::to_owned));
            request = request.with_scopes(scopes);
        }
        Ok(request)
    }
}

/// A person who consents without looking: where the browser would be sent.
async fn consent(authorization: &str) -> Result<String> {
    let browser = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let answer = browser.get(authorization).send().await?;
    let location = answer.headers().get("location").context("no redirect")?;
    Ok(location.to_str()?.to_owned())
}
