//! nginx as a backend: a real server that can be killed and started again on its port.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::wait_for;

/// A running nginx: `/` answers with its name, `/large` with 256 KiB, `/who` with what it knows of the client,
/// `/post` takes a body.
#[derive(Debug)]
pub struct Nginx {
    name: String,
    address: SocketAddr,
    dir: tempfile::TempDir,
    /// The namespace that it runs in; none: ours.
    namespace: Option<String>,
    child: Option<Child>,
}

impl Nginx {
    /// Starts one on `address` that calls itself `name`.
    #[must_use]
    pub fn start(name: &str, address: SocketAddr) -> Self {
        Self::start_with(name, address, "", None)
    }

    /// Starts one in a namespace, with further parameters of its `listen` line (`proxy_protocol`).
    #[must_use]
    pub fn start_with(
        name: &str,
        address: SocketAddr,
        listen: &str,
        namespace: Option<String>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Answers of `return` read the request's body before, so a POST leaves nothing on the connection.
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {dir}/body;\n\
             proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
             server {{ listen {address} {listen}; root {dir}; default_type text/plain; add_header X-Served-By {name};\n\
             location = / {{ return 200 '{name}\\n'; }}\n\
             location = /who {{ return 200 '$remote_addr|$proxy_protocol_addr|$http_x_forwarded_for|$http_host\n'; }}\n\
             location = /post {{ return 200 'posted to {name}\\n'; }}\n\
             }} }}\n",
            dir = dir.path().display(),
        );
        fs::write(dir.path().join("nginx.conf"), config).unwrap();
        fs::write(dir.path().join("large"), vec![b'x'; 256 << 10]).unwrap();
        let mut nginx = Self {
            name: name.into(),
            address,
            dir,
            namespace,
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
            let _ = fs::remove_file(self.dir.path().join("pid"));
        }
    }

    /// Starts it again on its port, and waits until it answers there.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                let _ = command.args(["netns", "exec", namespace, Self::program()]);
                command
            }
            None => Command::new(Self::program()),
        };
        let child = command
            .arg("-p")
            .arg(self.dir.path())
            .arg("-c")
            .arg(self.dir.path().join("nginx.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts (apt install nginx-light)");
        self.child = Some(child);
        // Written once the sockets listen; one in a namespace cannot be reached from here.
        let pid = self.dir.path().join("pid");
        wait_for("nginx", || match &self.namespace {
            Some(_) => fs::metadata(&pid).is_ok_and(|file| file.len() > 0),
            None => TcpStream::connect(self.address).is_ok(),
        });
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
