//! Raw TCP: requests that no HTTP library would send, and servers that no HTTP library would be.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Writes the bytes and reads until the peer closes or says nothing more for `quiet`.
pub fn exchange(address: SocketAddr, bytes: &[u8], quiet: Duration) -> Result<Vec<u8>> {
    exchange_pieces(address, &[bytes], quiet)
}

/// The same, with every piece in a packet of its own.
pub fn exchange_pieces(address: SocketAddr, pieces: &[&[u8]], quiet: Duration) -> Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address).context("nobody listens")?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(quiet))?;
    for piece in pieces {
        // The peer may refuse before it has read everything: what it said is still wanted.
        if socket.write_all(piece).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while let Ok(length) = socket.read(&mut chunk) {
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..length]);
    }
    Ok(answer)
}

/// The status codes of all answers in a raw exchange, in order.
pub fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    text.split("HTTP/1.")
        .skip(1)
        .filter_map(|rest| rest.get(2..5)?.parse().ok())
        .collect()
}

/// A server that answers every connection with fixed bytes, whatever it is sent.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What a [`Scripted`] server does after its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Closes the connection.
    Close,
    /// Keeps it open and says nothing more.
    Hold,
}

// === impl Scripted ===

impl Scripted {
    /// Starts one. The n-th connection is answered with the n-th answer, later ones with the last.
    ///
    /// # Panics
    /// When there is no answer, or no port.
    pub fn start(answers: Vec<Vec<u8>>, then: Then) -> Scripted {
        assert!(!answers.is_empty(), "a scripted server needs an answer");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (memory, stopped) = (Arc::clone(&received), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            for (number, socket) in listener.incoming().flatten().enumerate() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let answer = answers
                    .get(number)
                    .or(answers.last())
                    .cloned()
                    .unwrap_or_default();
                let memory = Arc::clone(&memory);
                held.push(socket.try_clone());
                std::thread::spawn(move || answer_one(socket, &answer, then, &memory));
            }
        });
        Scripted {
            address,
            received,
            stop,
            thread: Some(thread),
        }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where an MCP endpoint would be.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Everything it was sent so far.
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // One last connection wakes the listener.
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

fn answer_one(mut socket: TcpStream, answer: &[u8], then: Then, memory: &Mutex<Vec<u8>>) {
    let mut chunk = [0; 16 * 1024];
    let mut answered = false;
    while let Ok(length) = socket.read(&mut chunk) {
        if length == 0 {
            return;
        }
        memory.lock().unwrap().extend_from_slice(&chunk[..length]);
        if !answered {
            answered = true;
            if socket.write_all(answer).is_err() || then == Then::Close {
                drop(socket.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}
