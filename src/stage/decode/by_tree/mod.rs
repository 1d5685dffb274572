//! One message at a time by way of a tree of its payload: what `Decoder::decode_batch` replaces,
//! kept until nobody asks for it, and what the tests compare `decode_batch` with.

mod closure;
mod column;
mod json;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Decoder, Listener};
use crate::batch::{Reading, Row, Value};
use crate::domain::closure::Closure;
use crate::domain::network::Network;
use crate::domain::refusal::{DeadReason, Refusal};
use crate::domain::time::Timestamp;
use crate::plan::Produces;
use crate::ports::Message;
use json::Node;

/// What became of one message.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    Reading(Reading),
    Closure {
        /// Index into `Plan::sources`.
        source: usize,
        closure: Closure,
    },
    Dead(Refusal),
}

impl Decoder {
    /// Decodes one message.
    ///
    /// Until a source has claimed it, a refusal names the source only where the topic leaves no
    /// other one.
    pub fn decode(&self, message: &Message) -> Decoded {
        self.try_decode(message).unwrap_or_else(Decoded::Dead)
    }

    fn try_decode(&self, message: &Message) -> Result<Decoded, Refusal> {
        let candidates: Vec<(usize, &Listener)> = self
            .topics
            .matching(&message.topic)
            .map(|index| (index, &self.sources[index]))
            .collect();
        if candidates.is_empty() {
            let detail = "no source listens to this topic".to_owned();
            return Err(Refusal { reason: DeadReason::Unclaimed, source: None, detail });
        }
        let only = match candidates.as_slice() {
            [(_, only)] if only.source.claims.is_empty() => Some(only.source.name.clone()),
            _ => None,
        };
        let payload = json::read(&message.payload).map_err(|(reason, detail)| Refusal {
            reason,
            source: only,
            detail,
        })?;

        let claims = |listener: &Listener| {
            listener.source.claims.iter().all(|(member, value)| {
                payload.member(member).is_some_and(|node| node.equals(value))
            })
        };
        let Some((index, listener)) = candidates.iter().find(|(_, listener)| claims(listener))
        else {
            return Err(nobodys(&candidates, &payload));
        };
        listener.decode(*index, &self.network, &payload, message.received_at).map_err(
            |(reason, detail)| Refusal {
                reason,
                source: Some(listener.source.name.clone()),
                detail,
            },
        )
    }
}

impl Listener {
    fn decode(
        &self,
        index: usize,
        network: &Arc<Network>,
        payload: &Node<'_>,
        received_at: Timestamp,
    ) -> Result<Decoded, column::Refused> {
        let mapping = &self.source.mapping;
        if let Some(version) = mapping.version {
            check_version(payload, version)?;
        }
        let mut row = Row::with_capacity(mapping.columns.len());
        for column in &mapping.columns {
            column::decode(column, network, payload, &mut row)?;
        }
        if mapping.produces == Produces::Closures {
            let closure = closure::of_row(mapping, &row)?;
            return Ok(Decoded::Closure { source: index, closure });
        }
        let event_time = self.event_time_of(&row, received_at)?;
        Ok(Decoded::Reading(Reading { source: index, event_time, row }))
    }

    fn event_time_of(
        &self,
        row: &Row,
        received_at: Timestamp,
    ) -> Result<Timestamp, column::Refused> {
        let (Some(rules), Some(column)) = (&self.source.event_time, self.time_column) else {
            let detail = "the source has no column for event time".to_owned();
            return Err((DeadReason::BadTime, detail));
        };
        let Value::Time(event_time) = row.get(column) else {
            let detail = format!("`{}`, the event time, is missing", rules.column);
            return Err((DeadReason::MissingField, detail));
        };
        if event_time > received_at + rules.max_future {
            let ahead_s = event_time.since(received_at).as_secs_f64();
            let detail = format!(
                "`{}` is {event_time}, {ahead_s} s ahead of its receipt; at most {} s are allowed",
                rules.column,
                rules.max_future.as_secs_f64()
            );
            return Err((DeadReason::Future, detail));
        }
        Ok(event_time)
    }
}

fn check_version(payload: &Node<'_>, version: i64) -> Result<(), column::Refused> {
    let found = payload.member("v");
    if found.is_some_and(|node| node.equals(&version.into())) {
        return Ok(());
    }
    let found = found.map_or_else(|| "absent".to_owned(), Node::describe);
    Err((DeadReason::UnknownVersion, format!("`v` is {found}; version {version} is read")))
}

/// Why a message on a source's topic is no source's. Under another version nobody knows what the
/// members mean, so that comes first; then a member that every claim needs; else it is simply
/// somebody else's message.
fn nobodys(candidates: &[(usize, &Listener)], payload: &Node<'_>) -> Refusal {
    let refusal = |reason, detail| Refusal { reason, source: None, detail };
    let versions: Option<Vec<column::Refused>> = candidates
        .iter()
        .map(|(_, listener)| check_version(payload, listener.source.mapping.version?).err())
        .collect();
    if let Some((reason, detail)) = versions.and_then(|refused| refused.into_iter().next()) {
        return refusal(reason, detail);
    }
    let missing: Option<Vec<&str>> = candidates
        .iter()
        .map(|(_, listener)| {
            let mut members = listener.source.claims.iter().map(|(member, _)| member.as_str());
            members.find(|member| payload.member(member).is_none())
        })
        .collect();
    if let Some(member) = missing.as_deref().and_then(<[&str]>::first) {
        let detail = format!("`{member}` is absent: it tells whose message this is");
        return refusal(DeadReason::MissingField, detail);
    }
    let wanted: Vec<String> = candidates
        .iter()
        .flat_map(|(_, listener)| {
            let name = &listener.source.name;
            listener.source.claims.iter().filter_map(move |(member, value)| {
                let found = payload.member(member).filter(|node| !node.equals(value))?;
                let found = found.describe();
                Some(format!("`{member}` is {found} where `{name}` wants {value}"))
            })
        })
        .take(4)
        .collect();
    refusal(DeadReason::Unclaimed, wanted.join("; "))
}
