//! The server end: every tool, resource and prompt that the scenarios call.

mod answers;
mod lists;
mod prompts;
mod questions;
mod resources;
mod rounds;
mod tasks;
mod tools;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
    CompleteResult, CompletionInfo, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
    GetTaskResult, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, LoggingLevel, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec, ServerCapabilities,
    ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// Which eras of the protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Era {
    /// 2025-11-25 and before: `initialize`, sessions, questions of the server.
    Legacy,
    /// 2026-07-28: every request stands alone.
    Modern,
    /// Both.
    Both,
}

/// The server of one session (legacy), or of one request (modern).
#[derive(Clone)]
pub struct ConformanceServer {
    era: Era,
    /// Shared by all: what changed, for whoever listens.
    changes: broadcast::Sender<Change>,
    seal: Arc<RequestStateCodec>,
    /// Shared by all: what became a task.
    tasks: TaskManager,
    /// The least level the client wants to hear of. A std mutex: never held across an await.
    level: Arc<Mutex<LoggingLevel>>,
}

/// What a tool pretends to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Tools,
    Prompts,
}

/// Serves streamable HTTP at `/mcp` of the listener, until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, era: Era) -> Result<()> {
    let template = ConformanceServer::new(era)?;
    let service = StreamableHttpService::new(
        move || {
            let level = Arc::new(Mutex::new(LoggingLevel::Debug));
            Ok(ConformanceServer {
                level,
                ..template.clone()
            })
        },
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    axum::serve(listener, axum::Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}

/// Serves stdin and stdout, until stdin ends.
///
/// # Errors
/// When the client does not begin as the protocol says.
pub async fn serve_stdio(era: Era) -> Result<()> {
    let server = ConformanceServer::new(era)?;
    let running = server.serve(rmcp::transport::stdio()).await?;
    running.waiting().await?;
    Ok(())
}

// === impl Era ===

impl Era {
    fn versions(self) -> &'static [ProtocolVersion] {
        const MODERN: &[ProtocolVersion] = &[ProtocolVersion::V_2026_07_28];
        match self {
            Era::Legacy => ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25),
            Era::Modern => MODERN,
            Era::Both => ProtocolVersion::KNOWN_VERSIONS,
        }
    }
}

// === impl ConformanceServer ===

impl ConformanceServer {
    fn new(era: Era) -> Result<Self> {
        let key = b"a key that protects nothing but a test";
        Ok(Self {
            era,
            changes: broadcast::channel(16).0,
            seal: Arc::new(RequestStateCodec::try_new(key)?),
            tasks: TaskManager::new(),
            level: Arc::new(Mutex::new(LoggingLevel::Debug)),
        })
    }

    /// Whether a message of that level is wanted: as the request says in the modern era, as the session says before.
    fn wants(&self, level: LoggingLevel, context: &RequestContext<RoleServer>) -> bool {
        let rank = |level| serde_json::to_value(level).map(|name| rank(name.as_str()));
        let least = if is_modern(context) {
            context.meta.log_level()
        } else {
            Some(*self.level.lock().unwrap())
        };
        least.is_some_and(|least| rank(level).unwrap_or(0) >= rank(least).unwrap_or(0))
    }
}

fn rank(level: Option<&str>) -> usize {
    const LEVELS: [&str; 8] = [
        "debug",
        "info",
        "notice",
        "warning",
        "error",
        "critical",
        "alert",
        "emergency",
    ];
    LEVELS
        .iter()
        .position(|known| Some(*known) == level)
        .unwrap_or(0)
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

impl ServerHandler for ConformanceServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("provost-conformance-server", "1.0.0"))
            .with_instructions("Everything the conformance scenarios ask for.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(self.era.versions())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(lists::tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        lists::tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.call(request, context).await
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(lists::resources()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(
            lists::templates(),
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri).map(Into::into)
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(lists::prompts()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&request)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let begun = &request.argument.value;
        let values = ["paris", "park", "party", "test"]
            .into_iter()
            .filter(|value| value.starts_with(begun.as_str()))
            .map(str::to_owned)
            .collect();
        CompletionInfo::new(values)
            .map(CompleteResult::new)
            .map_err(|error| ErrorData::internal_error(error, None))
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.level.lock().unwrap() = request.level;
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = self.tasks.get_task(&request.task_id)?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let answers = request.input_responses;
        self.tasks.update_task(&request.task_id, answers)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // What this subscription did not ask for is refused by the sink, and that is as it should be.
            match change {
                Ok(Change::Tools) => drop(context.sink().notify_tool_list_changed().await),
                Ok(Change::Prompts) => drop(context.sink().notify_prompt_list_changed().await),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            }
        }
    }
}
