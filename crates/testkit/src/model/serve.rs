//! The APIs over HTTP.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::conversation::{Answer, Conversation};
use super::exchange::{Answered, Exchange, Log};
use super::script::{Next, Step};
use super::{anthropic, gemini, openai};

const STEP: Duration = Duration::from_millis(20);

/// How an API puts an answer.
type Write = fn(&Answer, &Conversation) -> String;

pub(super) fn router(log: Log) -> Router {
    Router::new()
        .fallback(ask)
        // Agents send all they know, again and again.
        .layer(DefaultBodyLimit::disable())
        .with_state(log)
}

async fn ask(
    State(log): State<Log>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    if path == "/log" {
        let entries = log.lock().unwrap().clone();
        return as_json(json!(entries).to_string());
    }
    if path == "/" {
        // Some agents look whether anybody is there.
        return StatusCode::OK.into_response();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (conversation, write): (_, Write) = if method != Method::POST {
        return StatusCode::NOT_FOUND.into_response();
    } else if path.ends_with("/count_tokens") {
        return as_json(json!({"input_tokens": 10}).to_string());
    } else if path.ends_with(":countTokens") {
        return as_json(json!({"totalTokens": 10}).to_string());
    } else if path.ends_with("/messages") {
        (anthropic::read(&body), anthropic::write)
    } else if path.ends_with("/responses") {
        (openai::read(&body), openai::write)
    } else if path.ends_with("enerateContent") {
        (gemini::read(&body, path), gemini::write)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let client = headers.get(USER_AGENT).and_then(|name| name.to_str().ok());
    let answer = answer(&log, client.unwrap_or_default(), &conversation).await;
    let body = write(&answer, &conversation);
    if conversation.streamed {
        return ([(CONTENT_TYPE, "text/event-stream")], body).into_response();
    }
    as_json(body)
}

fn as_json(body: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The next part of the script, and a line in the log.
async fn answer(log: &Log, client: &str, conversation: &Conversation) -> Answer {
    let mut answer = Answer {
        number: conversation.said.len(),
        ..Answer::default()
    };
    if conversation.offered.is_empty() {
        // A question of the client's own, such as for a title: it holds the prompt too, but it is not the prompt.
        answer.text = "yes".to_owned();
        return answer;
    }
    let next = Next::of(conversation);
    let tools = conversation.offered.iter();
    let exchange = Exchange {
        client: client.to_owned(),
        model: conversation.model.clone(),
        prompt: next.prompt.clone(),
        tools: tools.map(super::conversation::Tool::full).collect(),
        results: next.results.clone(),
        answer: None,
    };
    let place = {
        let mut log = log.lock().unwrap();
        log.push(exchange);
        log.len() - 1
    };
    let mut texts = Vec::new();
    for step in &next.steps {
        match step {
            Step::Wait(file) => appears(file).await,
            Step::Say(text) => texts.push(next.fill(text)),
            Step::Call { .. } | Step::Use { .. } | Step::Shell(_) => {
                match next.call(step, &conversation.offered) {
                    Ok(call) => answer.call = Some(call),
                    Err(problem) => texts.push(problem),
                }
            }
        }
    }
    if next.steps.is_empty() {
        texts.push("there is nothing to do".to_owned());
    }
    answer.text = texts.join("\n");
    log.lock().unwrap()[place].answer = Some(Answered {
        text: answer.text.clone(),
        call: answer.call.as_ref().map(|call| call.tool.full()),
    });
    answer
}

/// Whoever asked may go away: then nobody waits any more.
async fn appears(file: &Path) {
    while !file.exists() {
        tokio::time::sleep(STEP).await;
    }
}
