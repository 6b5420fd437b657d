//! HTTP/1.1: a request, and what its answer must be.

mod body;
mod head;

use std::time::Instant;

use control::{
    engine::Failure,
    spec::{
        check::{Expect, HttpProbe},
        format_duration,
    },
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use self::{body::Body, head::Head};
use super::{
    KEPT, Verdict,
    attempt::{Attempt, PASSED},
    expect::{self, Search},
    failure::{fail, quote},
    tls,
};

/// Asks and judges the answer.
pub(super) async fn probe(attempt: &Attempt, http: &HttpProbe) -> Verdict {
    let mut stream = attempt.connect(true).await?;
    match &http.tls {
        None => exchange(attempt, http, &mut stream).await,
        Some(tls) => {
            let mut session = tls::handshake(attempt, tls, stream).await?;
            exchange(attempt, http, &mut session).await
        }
    }
}

async fn exchange<S>(attempt: &Attempt, http: &HttpProbe, stream: &mut S) -> Verdict
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    attempt.now("sending the request");
    let asked = Instant::now();
    let sending = async {
        stream.write_all(&request(attempt, http)).await?;
        stream.flush().await
    };
    sending.await.map_err(|e| attempt.broken(&e))?;

    let (head, rest) = head::read(attempt, stream).await?;
    let latency = asked.elapsed();
    judge_head(attempt, http, &head)?;
    if let Some(expected) = &http.body {
        judge_body(
            attempt,
            expected,
            stream,
            &head,
            rest,
            http.method == "HEAD",
        )
        .await?;
    }
    match http.latency {
        Some(limit) if latency > limit => Err(fail(
            Failure::Slow,
            format!(
                "the answer took {} ms, of at most {}",
                latency.as_millis(),
                format_duration(limit)
            ),
        )),
        _ => PASSED,
    }
}

/// The request's bytes.
fn request(attempt: &Attempt, http: &HttpProbe) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\nHost: ", http.method, http.path);
    match &http.host {
        Some(host) => text.push_str(host),
        None => text.push_str(&attempt.backend.address.to_string()),
    }
    text.push_str(concat!(
        "\r\nUser-Agent: aplomb/",
        env!("CARGO_PKG_VERSION"),
        "\r\nConnection: close\r\n"
    ));
    for (name, value) in &http.headers {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    if matches!(http.method.as_str(), "POST" | "PUT" | "PATCH") {
        text.push_str("Content-Length: 0\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn judge_head(attempt: &Attempt, http: &HttpProbe, head: &Head) -> Verdict {
    let status = head.status;
    if !http
        .statuses
        .iter()
        .any(|(low, high)| (*low..=*high).contains(&status))
    {
        return Err(fail(Failure::Unexpected, format!("status {status}")));
    }
    let Some((name, expected)) = &http.header else {
        return PASSED;
    };
    let values: Vec<_> = head.values(name).collect();
    if values.is_empty() {
        return Err(fail(Failure::Unexpected, format!("no header {name}")));
    }
    let Some(expected) = expected else {
        return PASSED;
    };
    for value in &values {
        if Search::new(expected, &attempt.tools)?.found(value, true) {
            return PASSED;
        }
    }
    Err(fail(
        Failure::Unexpected,
        format!("header {name} is {}", quote(values[0])),
    ))
}

/// Looks for `expected` in the body, whose first bytes are `raw`.
async fn judge_body<S: AsyncRead + Unpin>(
    attempt: &Attempt,
    expected: &Expect,
    stream: &mut S,
    head: &Head,
    mut raw: Vec<u8>,
    no_body: bool,
) -> Verdict {
    attempt.now("waiting for the body");
    let mut search = Search::new(expected, &attempt.tools)?;
    let mut body = Body::of(head, no_body)?;
    let mut seen = Vec::new();
    loop {
        let ended = body.decode(&mut raw, &mut seen)?;
        seen.truncate(KEPT);
        let last = ended || seen.len() >= KEPT;
        if search.found(&seen, last) {
            return PASSED;
        }
        if last {
            return Err(expect::missing("the body", &seen));
        }
        let read = (&mut *stream)
            .take(KEPT as u64)
            .read_buf(&mut raw)
            .await
            .map_err(|e| attempt.broken(&e))?;
        if read == 0 {
            return body.cut(&seen).map_or_else(
                || {
                    Err(fail(
                        Failure::Protocol,
                        "the connection ended within the body",
                    ))
                },
                |whole| {
                    if search.found(whole, true) {
                        PASSED
                    } else {
                        Err(expect::missing("the body", whole))
                    }
                },
            );
        }
    }
}
