//! A page on a free port, for a server that fetches pages.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

const TEXT: &str = "Notizen – 😀\nsecond line, <b>not</b> markup\n";

/// It is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Page {
    url: String,
    task: AbortHandle,
}

impl Page {
    /// Serves `/notes.txt`; every other path is not found.
    pub(super) fn serve() -> Page {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener
            .set_nonblocking(true)
            .expect("a listener can be set so");
        let address = listener.local_addr().expect("a listener has an address");
        let listener = TcpListener::from_std(listener).expect("inside of a runtime");
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match socket.read_buf(&mut head).await {
                            Ok(length) if length > 0 => {}
                            _ => return,
                        }
                    }
                    let (status, body) = if head.starts_with(b"GET /notes.txt ") {
                        ("200 OK", TEXT)
                    } else {
                        ("404 Not Found", "nothing here\n")
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
                         content-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    // A client that hung up does not want it any more.
                    drop(socket.write_all(answer.as_bytes()).await);
                });
            }
        });
        Page {
            url: format!("http://{address}"),
            task: task.abort_handle(),
        }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.task.abort();
    }
}
