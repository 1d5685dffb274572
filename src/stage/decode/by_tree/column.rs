//! One column of a mapping: from the member of a payload to the cell of a row.

use std::sync::Arc;

use super::json::{Node, shorten};
use crate::batch::{Row, Value};
use crate::domain::network::Network;
use crate::domain::refusal::DeadReason;
use crate::domain::time::Timestamp;
use crate::plan::{Column, ColumnKind};

pub(super) type Refused = (DeadReason, String);

/// Beyond this a float cannot tell whole numbers apart: 2^53.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a column's member and appends its cell.
pub(super) fn decode(
    column: &Column,
    network: &Arc<Network>,
    payload: &Node<'_>,
    row: &mut Row,
) -> Result<(), Refused> {
    let Some(node) = follow(payload, column)? else {
        return absent(column, row, || "is absent".to_owned());
    };
    if matches!(node, Node::Null) {
        return absent(column, row, || "is null".to_owned());
    }
    if column.missing.iter().any(|code| node.equals(code)) {
        return absent(column, row, || format!("is {}, which means missing", node.describe()));
    }
    match column.kind {
        ColumnKind::Text => {
            let Node::Text(text) = node else { return Err(wrong_type(column, node, "a text")) };
            check_text(column, network, text)?;
            row.push(Value::Text(text));
        }
        ColumnKind::Integer => row.push(Value::Integer(integer(column, node)?)),
        ColumnKind::Number => row.push(Value::Number(number(column, node)?)),
        ColumnKind::Boolean => {
            let Node::Boolean(value) = node else {
                return Err(wrong_type(column, node, "true or false"));
            };
            row.push(Value::Boolean(*value));
        }
        ColumnKind::Time => {
            let Node::Text(text) = node else {
                return Err(wrong_type(column, node, "a time as text"));
            };
            let time = Timestamp::parse(text).map_err(|_| {
                let detail = "is no RFC 3339 time with a zone, such as 2008-11-11T07:20:30.000Z";
                (DeadReason::BadTime, format!("{}: `{}` {detail}", at(column), shorten(text)))
            })?;
            row.push(Value::Time(time));
        }
        ColumnKind::TextList => {
            let Node::List(nodes) = node else {
                return Err(wrong_type(column, node, "a list of texts"));
            };
            let mut texts = Vec::with_capacity(nodes.len());
            for node in nodes {
                let Node::Text(text) = node else {
                    return Err(wrong_type(column, node, "only texts in the list"));
                };
                check_text(column, network, text)?;
                texts.push(text.clone().into_owned());
            }
            row.push(Value::Texts(&texts));
        }
    }
    Ok(())
}

/// The member at the column's path. What is null or absent on the way is absent at its end.
fn follow<'n, 'p>(payload: &'n Node<'p>, column: &Column) -> Result<Option<&'n Node<'p>>, Refused> {
    let mut node = payload;
    for name in &column.path {
        match node {
            Node::Object(_) => {}
            Node::Null => return Ok(None),
            other => return Err(wrong_type(column, other, "objects on the way to it")),
        }
        match node.member(name) {
            Some(member) => node = member,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

fn absent(column: &Column, row: &mut Row, how: impl FnOnce() -> String) -> Result<(), Refused> {
    if column.nullable {
        row.push(Value::Null);
        return Ok(());
    }
    Err((DeadReason::MissingField, format!("{} {}", at(column), how())))
}

fn check_text(column: &Column, network: &Arc<Network>, text: &str) -> Result<(), Refused> {
    if column.is_segment && network.segment_by_name(text).is_none() {
        let detail = format!("{}: the network has no segment `{}`", at(column), shorten(text));
        return Err((DeadReason::UnknownSegment, detail));
    }
    if !column.one_of.is_empty() && !column.one_of.iter().any(|allowed| allowed == text) {
        let allowed = column.one_of.join("`, `");
        let detail = format!("{}: `{}` is none of `{allowed}`", at(column), shorten(text));
        return Err((DeadReason::UnknownValue, detail));
    }
    Ok(())
}

fn number(column: &Column, node: &Node<'_>) -> Result<f64, Refused> {
    let raw = node.as_f64().ok_or_else(|| wrong_type(column, node, "a number"))?;
    let value = raw * column.scale + column.offset;
    if !value.is_finite() {
        return Err(out_of_range(column, node, value));
    }
    in_range(column, node, value)?;
    Ok(value)
}

/// Whole numbers, also written as 7.0; 7.5 is refused. With a scale, what comes out must be whole
/// but for the rounding of the multiplication.
fn integer(column: &Column, node: &Node<'_>) -> Result<i64, Refused> {
    let raw = node.as_f64().ok_or_else(|| wrong_type(column, node, "a whole number"))?;
    #[expect(clippy::float_cmp, reason = "1 and 0 stand for: no conversion")]
    let as_it_is = column.scale == 1.0 && column.offset == 0.0;
    if let (Node::Integer(value), true) = (node, as_it_is) {
        in_range(column, node, *value as f64)?;
        return Ok(*value);
    }
    let value = raw * column.scale + column.offset;
    if !value.is_finite() || value.abs() >= MAX_EXACT {
        return Err(out_of_range(column, node, value));
    }
    let whole = value.round();
    let tolerance = if as_it_is { 0.0 } else { 1e-9 * whole.abs().max(1.0) };
    if (value - whole).abs() > tolerance {
        return Err(wrong_type(column, node, "a whole number"));
    }
    in_range(column, node, whole)?;
    Ok(whole as i64)
}

fn in_range(column: &Column, node: &Node<'_>, value: f64) -> Result<(), Refused> {
    let low = column.min.is_some_and(|min| value < min);
    let high = column.max.is_some_and(|max| value > max);
    if low || high { Err(out_of_range(column, node, value)) } else { Ok(()) }
}

fn out_of_range(column: &Column, node: &Node<'_>, value: f64) -> Refused {
    let bounds = match (column.min, column.max) {
        (Some(min), Some(max)) => format!("outside {min} to {max}"),
        (Some(min), None) => format!("under {min}"),
        (None, Some(max)) => format!("over {max}"),
        (None, None) => "more than can be held".to_owned(),
    };
    let raw = node.describe();
    (DeadReason::OutOfRange, format!("{}: {raw} (stored as {value}) is {bounds}", at(column)))
}

fn wrong_type(column: &Column, node: &Node<'_>, expected: &str) -> Refused {
    let detail = format!("{}: expected {expected}, found {}", at(column), node.describe());
    (DeadReason::WrongType, detail)
}

/// The member, as a path in the payload.
fn at(column: &Column) -> String {
    format!("`{}`", column.path.join("."))
}
