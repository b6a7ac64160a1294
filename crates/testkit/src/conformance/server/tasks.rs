//! Tools whose calls become tasks, for clients that know the extension.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, CreateTaskResult,
};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use rmcp::{ErrorData, RoleServer, service::RequestContext};
use serde_json::{Value, json};

use super::answers::{said, typed};
use super::rounds;

/// How soon a client may ask again.
const POLL_MS: u64 = 100;

/// Answers a call of one of the tools that can become a task; none when it is another tool.
pub(super) async fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    tasks: &TaskManager,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let knows_tasks = context
        .client_capabilities()
        .is_some_and(|capabilities| capabilities.supports_tasks());
    let arguments = request.arguments.as_ref();
    let argument = |name: &str| arguments.and_then(|all| all.get(name)).cloned();
    let text = |name: &str| argument(name).and_then(|value| value.as_str().map(str::to_owned));
    let needed = || {
        let needed = ClientCapabilities::builder().enable_tasks().build();
        Err(ErrorData::missing_required_client_capability(needed))
    };
    let start = |work: fn(TaskContext, Value) -> TaskFuture, with: Value| {
        let options = TaskOptions::new().with_poll_interval_ms(POLL_MS);
        let task = tasks.spawn(options, |context| work(context, with));
        Ok(CallToolResponse::Task(CreateTaskResult::new(task)))
    };
    Some(match request.name.as_ref() {
        "greet" => Ok(said(&format!(
            "Hello, {}!",
            text("name").unwrap_or_default()
        ))),
        "slow_compute" => {
            let seconds = argument("seconds").and_then(|seconds| seconds.as_f64());
            let seconds = json!(seconds.unwrap_or_default());
            match knows_tasks {
                true => start(compute, seconds),
                false => {
                    tokio::time::sleep(length(&seconds)).await;
                    Ok(said("Computed."))
                }
            }
        }
        "confirm_delete" if knows_tasks => start(confirm, json!(text("filename"))),
        "multi_input" if knows_tasks => start(ask_twice, Value::Null),
        "protocol_error_job" if knows_tasks => start(break_off, Value::Null),
        "failing_job" if knows_tasks => start(fail, Value::Null),
        "test_tool_with_task" if knows_tasks => {
            let answers = request.input_responses.as_ref();
            match rounds::field(answers, "user_name", "name") {
                Some(name) => start(greet, json!(name)),
                None => {
                    let question = rounds::form("What is your name?", "name");
                    Ok(rounds::ask(json!({ "user_name": question }), None).into())
                }
            }
        }
        "confirm_delete"
        | "multi_input"
        | "protocol_error_job"
        | "failing_job"
        | "test_tool_with_task" => needed(),
        _ => return None,
    })
}

fn length(seconds: &Value) -> Duration {
    Duration::from_secs_f64(seconds.as_f64().unwrap_or_default().clamp(0.0, 600.0))
}

fn result(text: &str) -> CallToolResult {
    let content = json!([{"type": "text", "text": text}]);
    typed(json!({"resultType": "complete", "content": content}))
}

fn compute(context: TaskContext, seconds: Value) -> TaskFuture {
    Box::pin(async move {
        tokio::select! {
            () = tokio::time::sleep(length(&seconds)) => Ok(result("Computed.")),
            () = context.cancelled() => Err(TaskExit::Cancelled),
        }
    })
}

fn confirm(context: TaskContext, file: Value) -> TaskFuture {
    Box::pin(async move {
        let question = rounds::form(&format!("Delete {file}?"), "confirm");
        let answer = context.request_input("confirm", typed(question)).await?;
        Ok(result(&format!("The person said: {answer}")))
    })
}

fn ask_twice(context: TaskContext, _: Value) -> TaskFuture {
    Box::pin(async move {
        let question = || typed(rounds::form("What is your name?", "name"));
        let first = context.request_input("first", question());
        let second = context.request_input("second", question());
        let (first, second) = tokio::try_join!(first, second)?;
        Ok(result(&format!("The person said: {first} and {second}")))
    })
}

fn fail(_: TaskContext, _: Value) -> TaskFuture {
    Box::pin(async {
        let content = json!([{"type": "text", "text": "This job always fails."}]);
        Ok(typed(
            json!({"resultType": "complete", "content": content, "isError": true}),
        ))
    })
}

fn break_off(_: TaskContext, _: Value) -> TaskFuture {
    Box::pin(async {
        let error = ErrorData::internal_error("This job breaks off.", None);
        Err(TaskExit::Error(error))
    })
}

fn greet(_: TaskContext, name: Value) -> TaskFuture {
    Box::pin(async move {
        let name = name.as_str().unwrap_or_default().to_owned();
        Ok(result(&format!("Hello, {name}!")))
    })
}
