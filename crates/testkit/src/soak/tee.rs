//! Proxies on the way: one records what passes, one spoils what comes back.

use super::dice::Dice;
use super::mutate;
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Records what clients send on their way to a server, connection by connection.
pub(super) struct Tee {
    /// Where clients connect.
    pub(super) address: SocketAddr,
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

/// Spoils some of what a server answers.
pub(super) struct Spoiler {
    /// Where clients connect.
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

// === impl Tee ===

impl Tee {
    /// Starts one in front of `server`.
    pub(super) async fn start(server: SocketAddr) -> Result<Tee> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let recorded: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let memory = Arc::clone(&recorded);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = {
                    let mut memory = memory.lock().unwrap();
                    memory.push(Vec::new());
                    memory.len() - 1
                };
                let memory = Arc::clone(&memory);
                tokio::spawn(async move {
                    let keep = move |bytes: &[u8]| {
                        memory.lock().unwrap()[number].extend_from_slice(bytes);
                        bytes.to_vec()
                    };
                    pass(client, server, keep, <[u8]>::to_vec).await;
                });
            }
        });
        Ok(Tee {
            address,
            recorded,
            task,
        })
    }

    /// What was sent, a connection each.
    pub(super) fn recorded(&self) -> Vec<Vec<u8>> {
        let recorded = self.recorded.lock().unwrap();
        recorded.iter().filter(|r| !r.is_empty()).cloned().collect()
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Spoiler ===

impl Spoiler {
    /// Starts one in front of `server`.
    pub(super) async fn start(server: SocketAddr, seed: u64) -> Result<Spoiler> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut number = 0;
            while let Ok((client, _)) = listener.accept().await {
                number += 1;
                let mut dice = Dice::new(seed, number);
                tokio::spawn(async move {
                    let spoil = move |bytes: &[u8]| {
                        if dice.once_in(3) {
                            let times = 1 + dice.roll(3);
                            (0..times).fold(bytes.to_vec(), |bytes, _| {
                                mutate::bytes(&mut dice, bytes, &[])
                            })
                        } else {
                            bytes.to_vec()
                        }
                    };
                    pass(client, server, <[u8]>::to_vec, spoil).await;
                });
            }
        });
        Ok(Spoiler { address, task })
    }
}

impl Drop for Spoiler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes bytes in both directions until both are at their end.
async fn pass(
    client: TcpStream,
    server: SocketAddr,
    mut there: impl FnMut(&[u8]) -> Vec<u8>,
    mut back: impl FnMut(&[u8]) -> Vec<u8>,
) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut client_reads, mut client_writes) = client.into_split();
    let (mut server_reads, mut server_writes) = server.into_split();
    let forth = async {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = client_reads.read(&mut chunk).await {
            if server_writes
                .write_all(&there(&chunk[..length]))
                .await
                .is_err()
            {
                break;
            }
        }
        drop(server_writes.shutdown().await);
    };
    let back = async {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = server_reads.read(&mut chunk).await {
            if client_writes
                .write_all(&back(&chunk[..length]))
                .await
                .is_err()
            {
                break;
            }
        }
        drop(client_writes.shutdown().await);
    };
    tokio::join!(forth, back);
}
