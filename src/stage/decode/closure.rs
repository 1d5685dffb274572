//! A closure from a row whose columns bear the names of its fields.

use super::column::Cell;
use super::extract::{Refused, Store, shorten};
use crate::domain::closure::{Closure, ClosureKind, ClosureState, Reason};
use crate::domain::refusal::DeadReason;
use crate::domain::time::Timestamp;
use crate::plan::Mapping;

/// Needed: `event_id`, `state`, `kind`, `edges`, `ts`; where known: `reason`, `lanes_closed`,
/// `start`, `planned_end`. An active closure of no edge is refused: it would close nothing, in silence.
pub(super) fn of_cells(
    mapping: &Mapping,
    cells: &[Cell<'_>],
    store: &Store<'_>,
) -> Result<Closure, Refused> {
    let fields = Fields { mapping, cells, store };
    let state = match fields.text("state")? {
        "active" => ClosureState::Active,
        "cleared" => ClosureState::Cleared,
        other => return Err(unknown("state", other, "`active` or `cleared`")),
    };
    let kind = match fields.text("kind")? {
        "road_closed" => ClosureKind::RoadClosed,
        "lanes_closed" => ClosureKind::LanesClosed,
        other => return Err(unknown("kind", other, "`road_closed` or `lanes_closed`")),
    };
    let edges = fields.texts("edges")?;
    if edges.is_empty() && state == ClosureState::Active {
        return Err((DeadReason::MissingField, "`edges` names no segment".to_owned()));
    }
    // Beside the known words it is free text, which is never passed on; the road is closed all the
    // same.
    let reason = match fields.get("reason") {
        Cell::Null => None,
        _ => Reason::from_word(fields.text("reason")?),
    };
    let lanes_closed = match fields.get("lanes_closed") {
        Cell::Null => None,
        Cell::Integer(lanes) => Some(u32::try_from(lanes).map_err(|_| {
            (DeadReason::OutOfRange, format!("`lanes_closed`: {lanes} is no number of lanes"))
        })?),
        other => return Err(not_a("lanes_closed", "a whole number", other)),
    };
    Ok(Closure {
        event_id: fields.text("event_id")?.to_owned(),
        state,
        kind,
        reason,
        edges,
        lanes_closed,
        ts: fields
            .time("ts")?
            .ok_or_else(|| (DeadReason::MissingField, "`ts` is missing".to_owned()))?,
        start: fields.time("start")?,
        planned_end: fields.time("planned_end")?,
    })
}

struct Fields<'r, 'p> {
    mapping: &'r Mapping,
    cells: &'r [Cell<'p>],
    store: &'r Store<'p>,
}

impl<'r, 'p> Fields<'r, 'p> {
    /// The cell of a column; null where the mapping has no such column.
    fn get(&self, name: &str) -> Cell<'p> {
        let index = self.mapping.columns.iter().position(|column| column.name == name);
        index.and_then(|index| self.cells.get(index)).copied().unwrap_or(Cell::Null)
    }

    fn text(&self, name: &str) -> Result<&'r str, Refused> {
        match self.get(name) {
            Cell::Text(text) => Ok(self.store.text(text)),
            other => Err(not_a(name, "a text", other)),
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Refused> {
        match self.get(name) {
            Cell::Texts(list) => Ok(self.store.texts(list).map(str::to_owned).collect()),
            other => Err(not_a(name, "a list of texts", other)),
        }
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, Refused> {
        match self.get(name) {
            Cell::Null => Ok(None),
            Cell::Time(time) => Ok(Some(time)),
            other => Err(not_a(name, "a time", other)),
        }
    }
}

fn not_a(name: &str, expected: &str, found: Cell<'_>) -> Refused {
    if found == Cell::Null {
        return (DeadReason::MissingField, format!("`{name}` is missing"));
    }
    (DeadReason::WrongType, format!("`{name}`: the mapping gives no {expected}"))
}

fn unknown(name: &str, found: &str, expected: &str) -> Refused {
    let found = shorten(found);
    (DeadReason::UnknownValue, format!("`{name}`: `{found}` is not {expected}"))
}
