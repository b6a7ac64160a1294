//! Resources: two fixed ones, a watched one, and a template.

use rmcp::ErrorData;
use rmcp::model::ReadResourceResult;
use serde_json::{Value, json};

/// A PNG of one red pixel.
pub(super) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

pub(super) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let id = uri
        .strip_prefix("test://template/")
        .and_then(|rest| rest.strip_suffix("/data"));
    let contents = match (uri, id) {
        ("test://static-text", _) => text(uri, "This is the content of the static text resource."),
        ("test://watched-resource", _) => text(uri, "Nobody has changed this yet."),
        ("test://static-binary", _) => {
            json!({"uri": uri, "mimeType": "image/png", "blob": PIXEL})
        }
        (_, Some(id)) => {
            let document =
                json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            json!({"uri": uri, "mimeType": "application/json", "text": document.to_string()})
        }
        (_, None) => {
            let data = json!({"uri": uri});
            return Err(ErrorData::resource_not_found(
                "no such resource",
                Some(data),
            ));
        }
    };
    Ok(super::answers::typed(
        json!({"resultType": "complete", "contents": [contents]}),
    ))
}

fn text(uri: &str, text: &str) -> Value {
    json!({"uri": uri, "mimeType": "text/plain", "text": text})
}
