//! One request and its answer: the spine of HTTP. Read it top to bottom.
//!
//! Head → route → what the route says: [`forward`](super::forward), a redirect or an answer of our own. Whatever
//! goes wrong comes back here as a [`Failure`], is told to the client if that can still be done, counted and logged.

use std::{future::poll_fn, task::Poll};

use control::route::{Headers, Path, RequestView, hash_key};

use super::{
    answer::{self, Manner},
    client::{Client, Next},
    failure::Failure,
    forward::forward,
    h1::{Framing, Known, Method, RequestHead, RequestParser, Version},
    io::Stream,
    log_line, note,
    rules::{Action, Route, Rules},
    site::Site,
    template::{Template, Values},
    turn::Turn,
};
use crate::worker::clock;

/// Serves the request that begins in `turn.up.buf` or is about to arrive there.
pub(crate) async fn exchange<S: Stream>(client: &mut Client<S>, turn: &mut Turn) -> Next {
    turn.note.begin(clock::now());
    turn.up.begin();
    turn.down.begin();
    client.watch.entry.service.counters().requests_open.one();
    let site = std::rc::Rc::clone(&client.site);
    let result = match read_head(client, turn).await {
        Err(failure) => Err(failure),
        Ok(Begun::Not(next)) => {
            client.watch.entry.service.counters().requests_open.less();
            return next;
        }
        Ok(Begun::Head) => match choose(client, turn, &site) {
            Err(failure) => Err(failure),
            Ok(route) => act(client, turn, route).await,
        },
    };
    let next = match result {
        Ok(next) => next,
        Err(failure) => Box::pin(give_up(client, turn, failure)).await,
    };
    finish(client, turn);
    next
}

/// What reading a head came to.
enum Begun {
    /// A head is here.
    Head,
    /// No request has begun: nothing has arrived after all, or the client has closed.
    Not(Next),
}

/// Reads a head.
async fn read_head<S: Stream>(client: &mut Client<S>, turn: &mut Turn) -> Result<Begun, Failure> {
    let Client {
        stream,
        watch,
        site,
        ..
    } = client;
    let mut parser = RequestParser::default();
    let mut waiting = false;
    poll_fn(|cx| {
        loop {
            let data = turn.up.buf.data();
            if !data.is_empty() && parser.parse(data, &site.rules.limits, &mut turn.request)? {
                turn.up.buf.keep_head(turn.request.len);
                turn.note.has_head = true;
                turn.note.bytes_in = turn.request.len as u64;
                return Poll::Ready(Ok(Begun::Head));
            }
            let nothing = turn.up.buf.data().is_empty();
            match turn.up.buf.poll_fill(cx, stream) {
                Poll::Ready(Ok(0) | Err(_)) if nothing => {
                    return Poll::Ready(Ok(Begun::Not(Next::Close)));
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Failure::CLIENT_TRUNCATED)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::CLIENT_GONE)),
                // Waiting goes without buffers.
                Poll::Pending if nothing => return Poll::Ready(Ok(Begun::Not(Next::Keep))),
                Poll::Pending => {
                    if !std::mem::replace(&mut waiting, true) {
                        watch.begin(site.rules.timeouts.header);
                    }
                    return watch.poll(cx, None).map(|_| Err(Failure::HEADER_TIMEOUT));
                }
            }
        }
    })
    .await
}

/// Finds the request's route, and what of the request depends on it.
fn choose<'a, S>(
    client: &Client<S>,
    turn: &mut Turn,
    site: &'a Site,
) -> Result<&'a Route, Failure> {
    site.budget.request(turn.note.started);
    let buf = turn.up.buf.head();
    let head = &turn.request;
    let path = Path::clean(raw_path(buf, head)).map_err(|_| Failure::BAD_PATH)?;
    let headers = Lines { buf, head };
    let view = RequestView {
        method: text(head.method_name.of(buf)),
        host: text(head.host.of(buf)),
        path: &path,
        query: head.query.map(|query| text(query.of(buf))),
        headers: &headers,
    };
    let place = site.rules.router.find(&view).ok_or(Failure::NO_ROUTE)?;
    let route = &site.rules.routes[place];
    turn.note.route = Some(place);
    turn.key = None;
    if let Action::Pool(pool) = route.action {
        let pool = client
            .watch
            .entry
            .service
            .pools
            .get(pool)
            .ok_or(Failure::NO_BACKEND)?;
        turn.key = pool.with_hash_key(|key| hash_key(key, &view, client.address.ip()));
    }
    write_target(
        &mut turn.target,
        &site.rules,
        place,
        &path,
        &view,
        raw_path(buf, head),
    );
    write_id(client, &mut turn.note.id, buf, head);
    Ok(route)
}

/// What is not received as text was refused by the parser: targets, methods and hosts are visible ASCII.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn raw_path<'a>(buf: &'a [u8], head: &RequestHead) -> &'a str {
    match text(head.path.of(buf)) {
        "" if head.asterisk => "*",
        "" => "/",
        path => path,
    }
}

/// Leaves `target` empty where the one received goes on as it is.
fn write_target(
    target: &mut Vec<u8>,
    rules: &Rules,
    place: usize,
    path: &Path<'_>,
    view: &RequestView<'_>,
    raw: &str,
) {
    target.clear();
    let with = rules.routes[place].replace_prefix.as_deref();
    let replaced = with.and_then(|with| rules.router.replace_prefix(place, path, with));
    match replaced {
        Some(path) => target.extend_from_slice(path.as_bytes()),
        None if path.forwarded() != raw => target.extend_from_slice(path.forwarded().as_bytes()),
        None => return,
    }
    if let Some(query) = view.query {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
}

/// The request's id: the one it came with if its sender is trusted, else a new one.
fn write_id<S>(client: &Client<S>, id: &mut Vec<u8>, buf: &[u8], head: &RequestHead) {
    let Some(name) = &client.site.rules.request_id else {
        return;
    };
    let sent = head
        .fields
        .iter()
        .find(|f| f.name.of(buf).eq_ignore_ascii_case(name));
    if let Some(field) = sent.filter(|f| client.trusted && (1..=128).contains(&f.value.len)) {
        return id.extend_from_slice(field.value.of(buf));
    }
    let rng = &client.watch.entry.worker.rng;
    for _ in 0..2 {
        let mut bits = rng.next();
        for _ in 0..16 {
            id.push(b"0123456789abcdef"[(bits & 15) as usize]);
            bits >>= 4;
        }
    }
}

/// Does what the route says.
async fn act<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    route: &Route,
) -> Result<Next, Failure> {
    match &route.action {
        Action::Pool(pool) => forward(client, turn, route, *pool).await,
        Action::Redirect { status, to } => {
            let (status, to) = (*status, to);
            respond(client, turn, status, |out, manner, values| {
                answer::write(out, status, manner, "", b"", |out| {
                    write_location(out, to, values)
                });
            })
            .await
        }
        Action::Respond {
            status,
            content_type,
            body,
        } => {
            let status = *status;
            respond(client, turn, status, |out, manner, values| {
                answer::write(out, status, manner, content_type, body, |out| {
                    route.response.write(out, values);
                });
            })
            .await
        }
    }
}

fn write_location(out: &mut Vec<u8>, to: &Template, values: &Values<'_>) {
    out.extend_from_slice(b"location: ");
    to.write(out, values);
    out.extend_from_slice(b"\r\n");
}

/// Sends an answer of our own.
async fn respond<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
    status: u16,
    write: impl FnOnce(&mut Vec<u8>, Manner, &Values<'_>),
) -> Result<Next, Failure> {
    let next = next_without_body(client, turn);
    let manner = manner(turn, next);
    turn.down.discard_output();
    let mut out = std::mem::take(&mut turn.down.out);
    write(&mut out, manner, &values(client, turn));
    turn.down.out = out;
    turn.note.status = status;
    send(client, turn).await?;
    Ok(next)
}

/// Tells the client what went wrong, if it can still be told.
async fn give_up<S: Stream>(client: &mut Client<S>, turn: &mut Turn, failure: Failure) -> Next {
    turn.note.failure = Some(failure);
    client.watch.entry.service.count(failure.fault);
    let Some(status) = failure.status else {
        return Next::Close;
    };
    // What could not be understood or awaited leaves no place where the next request would begin.
    let lost = !turn.note.has_head || matches!(status, 400 | 408 | 413);
    let next = if lost {
        Next::Linger
    } else {
        next_without_body(client, turn)
    };
    turn.down.discard_output();
    let manner = manner(turn, next);
    answer::error_page(&mut turn.down.out, status, &failure, manner);
    turn.note.status = status;
    match send(client, turn).await {
        Ok(()) => next,
        Err(_) => Next::Close,
    }
}

/// What becomes of the connection if the request is answered without its body being awaited.
fn next_without_body<S>(client: &Client<S>, turn: &Turn) -> Next {
    let read = turn.request.framing == Framing::None || turn.up.is_done();
    match () {
        () if !read => Next::Linger,
        () if turn.request.keep_alive() && !client.watch.entry.is_closing() => Next::Keep,
        () => Next::Close,
    }
}

fn manner(turn: &Turn, next: Next) -> Manner {
    Manner {
        head: turn.note.has_head && turn.request.method == Method::Head,
        close: next != Next::Keep,
        say_keep_alive: turn.request.version == Version::Http10,
    }
}

/// Sends what `turn.down.out` holds.
pub(crate) async fn send<S: Stream>(
    client: &mut Client<S>,
    turn: &mut Turn,
) -> Result<(), Failure> {
    let Client {
        stream,
        watch,
        site,
        ..
    } = client;
    watch.begin(site.rules.timeouts.send);
    let sent = poll_fn(|cx| match turn.down.poll_write(cx, stream) {
        Poll::Ready(Ok(())) => std::pin::Pin::new(&mut *stream)
            .poll_flush(cx)
            .map_err(|_| Failure::CLIENT_GONE),
        Poll::Ready(Err(_)) => Poll::Ready(Err(Failure::CLIENT_GONE)),
        Poll::Pending => watch.poll(cx, None).map(|_| Err(Failure::SEND_TIMEOUT)),
    });
    sent.await
}

/// What variables stand for in this request.
pub(crate) fn values<'a, S>(client: &'a Client<S>, turn: &'a Turn) -> Values<'a> {
    let (buf, head) = (turn.up.buf.head(), &turn.request);
    Values {
        client: client.address,
        host: head.host.of(buf),
        path: raw_path(buf, head).as_bytes(),
        query: head.query.map(|query| query.of(buf)),
        scheme: client.site.rules.scheme,
        method: head.method_name.of(buf),
        service: client.watch.entry.service.name().as_str(),
        backend: turn.note.backend.as_ref().map(|b| b.address()),
        request_id: &turn.note.id,
    }
}

/// Counts the request and logs it.
fn finish<S>(client: &Client<S>, turn: &mut Turn) {
    let service = &client.watch.entry.service;
    let note = &mut turn.note;
    let total = clock::now().saturating_since(note.started);
    note.bytes_in += turn.up.carried;
    note.bytes_out = turn.down.sent;
    let counters = service.counters();
    counters.requests_open.less();
    counters.bytes_in.add(note.bytes_in);
    counters.bytes_out.add(note.bytes_out);
    counters.duration.observe(total);
    counters.responses[class(note.status)].one();
    if let Some(log) = &service.log {
        let entry = note::Entry {
            note,
            head: &turn.request,
            buf: turn.up.buf.head(),
            rules: &client.site.rules,
            service: service.name().as_str(),
            client: client.address,
            total,
        };
        log.line(clock::wall_millis(), |out, stamp| {
            log_line::write(out, stamp, log.is_json(), &entry)
        });
    }
}

/// The place of a status in tables by class; those that were never answered come last.
pub(crate) fn class(status: u16) -> usize {
    match status / 100 {
        class @ 1..=5 => usize::from(class) - 1,
        0 => 5,
        _ => 4,
    }
}

/// Header fields, as routes look at them.
struct Lines<'a> {
    buf: &'a [u8],
    head: &'a RequestHead,
}

impl Headers for Lines<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let wanted = Known::of(name.as_bytes());
        let of_name = |f: &&super::h1::Field| {
            f.known == wanted && f.name.of(self.buf).eq_ignore_ascii_case(name.as_bytes())
        };
        self.head
            .fields
            .iter()
            .filter(of_name)
            .any(|f| test(f.value.of(self.buf)))
    }
}
