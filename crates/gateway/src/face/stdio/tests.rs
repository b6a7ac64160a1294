use super::*;

/// A policy engine that panics takes its task down, and the agent is told.
#[tokio::test]
async fn a70_a_walk_that_panics_is_no_permission_over_stdio() {
    for (text, answers) in [
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#, 1),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            0,
        ),
        ("{", 0),
    ] {
        let (lines, mut said) = mpsc::channel(4);
        let fallen = Fallen {
            text: Bytes::from_static(text.as_bytes()),
            lines,
        };
        let task = tokio::spawn(async move {
            let _fallen = fallen;
            panic!("a fault of the engine");
        });
        assert!(task.await.is_err());
        let answer = said.recv().await;
        assert_eq!(usize::from(answer.is_some()), answers, "{text}");
        if let Some(answer) = answer {
            let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&7.into(), &(-32603).into())
            );
        }
    }
}
