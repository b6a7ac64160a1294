//! Prompts: plain, with arguments, with a resource, with an image, and one that asks back.

use rmcp::ErrorData;
use rmcp::model::{GetPromptRequestParams, GetPromptResponse};
use serde_json::{Value, json};

use super::answers::typed;
use super::resources::PIXEL;
use super::rounds;

pub(super) fn get(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        let arguments = request.arguments.as_ref();
        arguments
            .and_then(|all| all.get(name)?.as_str())
            .unwrap_or_default()
    };
    let messages = match request.name.as_str() {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => vec![text(&format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1"),
            argument("arg2")
        ))],
        "test_prompt_with_embedded_resource" => {
            let uri = argument("resourceUri");
            let resource = json!({"uri": uri, "mimeType": "text/plain", "text": "Embedded resource content for testing."});
            vec![
                json!({"type": "resource", "resource": resource}),
                text("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => vec![
            json!({"type": "image", "data": PIXEL, "mimeType": "image/png"}),
            text("Please analyze the image above."),
        ],
        "test_input_required_result_prompt" => {
            let answers = request.input_responses.as_ref();
            match rounds::field(answers, "user_context", "context") {
                Some(context) => vec![text(&format!("Use this context: {context}"))],
                None => {
                    let question = rounds::form("What context should the prompt use?", "context");
                    return Ok(rounds::ask(json!({"user_context": question}), None).into());
                }
            }
        }
        unknown => {
            return Err(ErrorData::invalid_params(
                format!("unknown prompt `{unknown}`"),
                None,
            ));
        }
    };
    let messages: Vec<Value> = messages
        .into_iter()
        .map(|content| json!({"role": "user", "content": content}))
        .collect();
    let result = json!({"resultType": "complete", "messages": messages});
    Ok(GetPromptResponse::Complete(typed(result)))
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}
