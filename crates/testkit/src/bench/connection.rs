//! One keep-alive HTTP/1.1 connection, as cheap as it can be: what the client spends, the server cannot.

use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that sends prepared requests and reads whole answers.
pub(super) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// An answer in the connection's buffer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) session: Option<String>,
    pub(super) body: Vec<u8>,
}

/// How the end of a body is found.
enum Length {
    Known(usize),
    Chunked,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Connection> {
        let socket = TcpStream::connect(address)
            .await
            .with_context(|| format!("nobody listens at {address}"))?;
        socket.set_nodelay(true)?;
        Ok(Connection {
            socket,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// Sends a request and reads its answer completely.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.socket.write_all(request).await?;
        let head_end = self.read_until(|buffer| find(buffer, b"\r\n\r\n")).await? + 4;
        let head = std::str::from_utf8(&self.buffer[..head_end]).context("the head is not text")?;
        let status = head
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .context("no status line")?;
        let mut length = Length::Known(0);
        let mut session = None;
        for line in head.split("\r\n").skip(1) {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Length::Known(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("mcp-session-id") {
                session = Some(value.trim().to_owned());
            }
        }
        self.buffer.drain(..head_end);
        let body = match length {
            Length::Known(length) => {
                self.read_until(|buffer| (buffer.len() >= length).then_some(()))
                    .await?;
                self.buffer.drain(..length).collect()
            }
            Length::Chunked => self.chunks().await?,
        };
        Ok(Answer {
            status,
            session,
            body,
        })
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_until(|buffer| find(buffer, b"\r\n")).await?;
            let size = std::str::from_utf8(&self.buffer[..line])?
                .split(';')
                .next()
                .unwrap_or_default();
            let size = usize::from_str_radix(size.trim(), 16).context("no chunk size")?;
            self.buffer.drain(..line + 2);
            self.read_until(|buffer| (buffer.len() >= size + 2).then_some(()))
                .await?;
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Reads until the buffer holds what is wanted.
    async fn read_until<T>(&mut self, wanted: impl Fn(&[u8]) -> Option<T>) -> Result<T> {
        loop {
            if let Some(found) = wanted(&self.buffer) {
                return Ok(found);
            }
            ensure!(self.buffer.len() < 64 << 20, "an answer without end");
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
        }
    }
}

fn find(buffer: &[u8], wanted: &[u8]) -> Option<usize> {
    buffer
        .windows(wanted.len())
        .position(|window| window == wanted)
}
