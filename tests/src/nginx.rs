//! nginx as a backend: a real server that can be killed and started again on its port.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::wait_for;

/// A running nginx: `/` answers with its name, `/large` with 256 KiB, `/slow/…` trickles, POST is taken too.
#[derive(Debug)]
pub struct Nginx {
    name: String,
    address: SocketAddr,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Nginx {
    /// Starts one on `address` that calls itself `name`.
    #[must_use]
    pub fn start(name: &str, address: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Answers of `return` read the request's body before, so a POST leaves nothing on the connection.
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {dir}/body;\n\
             proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
             server {{ listen {address}; root {dir}; default_type text/plain; add_header X-Served-By {name};\n\
             location = / {{ return 200 '{name}\\n'; }}\n\
             location = /post {{ return 200 'posted to {name}\\n'; }}\n\
             location /slow/ {{ alias {dir}/; limit_rate 64k; }}\n\
             }} }}\n",
            dir = dir.path().display(),
        );
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        std::fs::write(dir.path().join("large"), vec![b'x'; 256 << 10]).unwrap();
        let mut nginx = Self {
            name: name.into(),
            address,
            dir,
            child: None,
        };
        nginx.restart();
        nginx
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it as a crash would: no goodbye to anybody.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            let _ = child.wait().unwrap();
        }
    }

    /// Starts it again on its port, and waits until it answers there.
    pub fn restart(&mut self) {
        self.kill();
        let child = Command::new(Self::program())
            .arg("-p")
            .arg(self.dir.path())
            .arg("-c")
            .arg(self.dir.path().join("nginx.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts (apt install nginx-light)");
        self.child = Some(child);
        wait_for("nginx", || TcpStream::connect(self.address).is_ok());
    }

    fn program() -> &'static str {
        if Path::new("/usr/sbin/nginx").exists() {
            "/usr/sbin/nginx"
        } else {
            "nginx"
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}
