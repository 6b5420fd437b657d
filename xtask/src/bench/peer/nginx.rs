//! nginx: one worker, a keep-alive pool to the backend, a buffered access log, response buffers that
//! hold the largest answer but the bulk one. Its free edition has no active health checks.

use super::{Mode, Setup};
use crate::Result;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where Debian keeps the module that forwards TCP.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

pub(super) fn command(program: &Path, setup: &Setup) -> Result<Command> {
    let config = setup.config("nginx.conf", &config(setup))?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&setup.folder).arg("-c").arg(config);
    command
        .arg("-e")
        .arg(setup.folder.join("error.log"))
        .stdout(Stdio::null());
    Ok(command)
}

fn config(setup: &Setup) -> String {
    let log = setup.access_log();
    let log = if setup.log {
        format!("access_log {} full buffer=64k flush=1s;", log.display())
    } else {
        "access_log off;".to_owned()
    };
    let (module, body) = match setup.mode {
        Mode::Http => (String::new(), http(setup, &log)),
        Mode::Tcp => (format!("load_module {STREAM_MODULE};\n"), tcp(setup, &log)),
    };
    let folder = setup.folder.display();
    format!(
        "{module}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 20000; multi_accept on; }}
{body}"
    )
}

fn http(setup: &Setup, log: &str) -> String {
    let Setup { port, upstream, .. } = setup;
    format!(
        "http {{
    log_format full '$remote_addr $time_iso8601 \"$request\" $status $body_bytes_sent '
                    '$upstream_addr $request_time $upstream_connect_time $upstream_response_time';
    {log}
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_header_timeout 10s;
    client_body_timeout 60s;
    send_timeout 60s;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    upstream out {{
        server 127.0.0.1:{upstream} max_fails=3 fail_timeout=2s;
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 300s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;
        location / {{
            proxy_pass http://out;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_buffer_size 16k;
            proxy_buffers 16 16k;
            proxy_max_temp_file_size 0;
            proxy_connect_timeout 5s;
            proxy_read_timeout 60s;
            proxy_send_timeout 60s;
        }}
    }}
}}
"
    )
}

fn tcp(setup: &Setup, log: &str) -> String {
    let Setup { port, upstream, .. } = setup;
    format!(
        "stream {{
    log_format full '$remote_addr $time_iso8601 $status $bytes_sent $bytes_received '
                    '$upstream_addr $session_time $upstream_connect_time';
    {log}
    upstream out {{ server 127.0.0.1:{upstream} max_fails=3 fail_timeout=2s; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;
        proxy_pass out;
        proxy_connect_timeout 5s;
        proxy_timeout 300s;
        proxy_buffer_size 64k;
        tcp_nodelay on;
    }}
}}
"
    )
}
