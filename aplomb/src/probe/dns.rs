//! DNS: a query over UDP, and an answer that must come (RFC 1035).

use control::engine::{Failure, ProbeFailure};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use rustls::crypto::aws_lc_rs;

use super::{Verdict, attempt::Attempt, failure::fail, udp};

/// Datagrams that are not the answer and are passed over before the probe fails: somebody is guessing ids.
const STRANGERS: u32 = 64;

/// Asks for `name`'s records of type `record`, one of which must be `expect` if given.
pub(super) async fn probe(
    attempt: &Attempt,
    name: &str,
    record: &str,
    expect: Option<&str>,
) -> Verdict {
    let query = query(name, record)?;
    let bytes = query
        .to_vec()
        .map_err(|e| fail(Failure::Local, format!("cannot ask for {name}: {e}")))?;
    let socket = udp::ask(attempt, &bytes).await?;
    for _ in 0..STRANGERS {
        let datagram = udp::receive(attempt, &socket).await?;
        let answer = Message::from_vec(&datagram)
            .map_err(|e| fail(Failure::Protocol, format!("no DNS answer: {e}")))?;
        if answers(&answer, &query) {
            return judge(&answer, query.queries[0].query_type(), expect);
        }
    }
    Err(fail(
        Failure::Protocol,
        "nothing but answers to other questions",
    ))
}

fn query(name: &str, record: &str) -> Result<Message, ProbeFailure> {
    let cannot = |what: &str| fail(Failure::Local, format!("{what} cannot be asked for"));
    let mut name = Name::from_ascii(name).map_err(|_| cannot(name))?;
    name.set_fqdn(true);
    let record: RecordType = record
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| cannot(record))?;
    let mut id = [0; 2];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut id)
        .map_err(|_| cannot("a random id"))?;
    let mut message = Message::new(u16::from_ne_bytes(id), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let _ = message.add_query(Query::query(name, record));
    Ok(message)
}

/// Whether `answer` is to this query and not a stray or forged one.
fn answers(answer: &Message, query: &Message) -> bool {
    answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == query.queries
}

fn judge(answer: &Message, record: RecordType, expect: Option<&str>) -> Verdict {
    let code = answer.metadata.response_code;
    if code != ResponseCode::NoError {
        return Err(fail(Failure::Unexpected, format!("answer {code}")));
    }
    let data: Vec<String> = answer
        .answers
        .iter()
        .filter(|r| r.record_type() == record || record == RecordType::ANY)
        .map(|r| r.data.to_string())
        .collect();
    if data.is_empty() && !answer.metadata.truncation {
        return Err(fail(Failure::Unexpected, format!("no {record} record")));
    }
    let Some(expect) = expect else {
        return Ok(());
    };
    if data.iter().any(|text| same(text, expect)) {
        return Ok(());
    }
    let some: Vec<_> = data.iter().take(4).map(String::as_str).collect();
    Err(fail(
        Failure::Unexpected,
        format!(
            "{record} is {}",
            super::failure::quote(some.join(", ").as_bytes())
        ),
    ))
}

/// Whether two texts of a record's data mean the same: names compare without case and final dot.
fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        text.trim()
            .trim_end_matches('.')
            .trim_matches('"')
            .to_ascii_lowercase()
    };
    plain(a) == plain(b)
}
