//! nginx as a plain reverse proxy: the yardstick for what a hop has to cost.

use super::children;
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running nginx that forwards everything to one upstream.
pub struct Nginx {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl Nginx {
    /// The program, installed or unpacked by `scripts/setup`; nothing when there is none.
    pub fn program() -> Option<PathBuf> {
        let unpacked = crate::process::root().join(".tools/nginx/usr/sbin/nginx");
        [
            PathBuf::from("nginx"),
            PathBuf::from("/usr/sbin/nginx"),
            unpacked,
        ]
        .into_iter()
        .find(|program| {
            Command::new(program)
                .arg("-v")
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        })
    }

    /// Starts one in front of an upstream, and returns once it listens.
    ///
    /// # Errors
    /// When there is no nginx, or it does not start.
    pub fn start(upstream: SocketAddr) -> Result<Nginx> {
        let program = Nginx::program()
            .context("there is no nginx; `scripts/setup` fetches it on Debian and Ubuntu")?;
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let config = directory.path().join("nginx.conf");
        std::fs::write(&config, configuration(upstream, port))?;
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(&config)
            .args(["-e", "error.log"]);
        let child = command.stdin(Stdio::null()).spawn()?;
        let nginx = Nginx {
            port,
            child,
            _directory: directory,
        };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            anyhow::ensure!(
                started.elapsed() < Duration::from_secs(10),
                "nginx does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }

    /// Its endpoint.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Its processes: the master and the workers.
    pub fn pids(&self) -> Vec<u32> {
        let master = self.child.id();
        std::iter::once(master).chain(children(master)).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master takes its workers along on SIGTERM; a killed master would leave them behind.
        drop(
            Command::new("kill")
                .arg(self.child.id().to_string())
                .status(),
        );
        drop(self.child.wait());
    }
}

/// A plain reverse proxy that keeps its upstream connections, and does nothing besides.
fn configuration(upstream: SocketAddr, port: u16) -> String {
    format!(
        "daemon off;
worker_processes auto;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000000;
    upstream echo {{
        server {upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://echo;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
        }}
    }}
}}
"
    )
}
