//! The tables beside the network file: moves, detectors, signs, street names, places.
//!
//! Columns are found by their heading; others than the ones named here are passed over.

use std::collections::BTreeMap;
use std::str::FromStr;

use csv::StringRecord;

use super::super::names::{fold, unspeakable};
use super::super::{Connection, Detector, DetectorKind, Place, Segment, SegmentId, Sign, Turn};
use super::files::Text;
use super::findings::{Findings, quoted};
use super::is_topic_word;

/// Positions and lengths are rounded apart, to 0.1 m and 0.01 m: so much may one pass the other.
const ROUNDING_M: f64 = 0.06;
/// More letters than any street's or place's name has.
const LONGEST_NAME: usize = 100;

/// `connections.csv`.
pub(super) fn connections(
    file: &Text,
    roads: &[Segment],
    found: &mut Findings<'_>,
) -> Vec<Connection> {
    let mut connections = Vec::new();
    let mut seen = BTreeMap::new();
    let columns = ["from_edge", "to_edge", "turn", "lanes", "cars_allowed"];
    rows(file, columns, found, |row| {
        let from = row.edge("from_edge", roads);
        let to = row.edge("to_edge", roads);
        let turn = row.turn();
        let lanes = row.number("lanes", "a whole number over 0", |n: &u16| *n > 0);
        let cars_allowed = row.number("cars_allowed", "0 or 1", |n: &u8| *n < 2);
        let (Some((from, a)), Some((to, b))) = (from, to) else { return };
        if a.to_junction != b.from_junction {
            row.bad(|| {
                let (ends, starts) = (quoted(&a.to_junction), quoted(&b.from_junction));
                let (a, b) = (quoted(&a.name), quoted(&b.name));
                format!("{a} ends at junction {ends}, {b} starts at {starts}: no car can jump")
            });
        }
        row.once(&mut seen, (from, to), "this move");
        if let (Some(turn), Some(lanes), Some(cars)) = (turn, lanes, cars_allowed) {
            connections.push(Connection { from, to, turn, lanes, cars_allowed: cars == 1 });
        }
    });
    connections
}

/// `sensors.csv`, sorted by id.
pub(super) fn detectors(file: &Text, roads: &[Segment], found: &mut Findings<'_>) -> Vec<Detector> {
    let mut detectors = Vec::new();
    let mut seen = BTreeMap::new();
    rows(file, ["sensor_id", "kind", "edge_id", "lane", "pos_m"], found, |row| {
        let id = row.topic_id("sensor_id", &mut seen);
        let kind = match row.text("kind") {
            Some("loop") => Some(DetectorKind::Loop),
            Some("camera") => Some(DetectorKind::Camera),
            Some(other) => {
                row.bad(|| format!("`kind` must be loop or camera, not {}", quoted(other)));
                None
            }
            None => None,
        };
        let Some((segment, road)) = row.edge("edge_id", roads) else { return };
        let pos_m = row.position(road);
        // A camera sees all lanes.
        let lane = match kind {
            Some(DetectorKind::Loop) => {
                let expected = format!("a lane of the edge, 0 to {}", road.lanes.saturating_sub(1));
                row.number("lane", &expected, |lane: &u16| *lane < road.lanes)
            }
            _ => None,
        };
        if let (Some(id), Some(kind), Some(pos_m)) = (id, kind, pos_m) {
            detectors.push(Detector { sensor_id: id, kind, segment, lane, pos_m });
        }
    });
    detectors.sort_by(|a, b| a.sensor_id.cmp(&b.sensor_id));
    detectors.shrink_to_fit();
    detectors
}

/// `signs.csv`, sorted by id.
pub(super) fn signs(file: &Text, roads: &[Segment], found: &mut Findings<'_>) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut seen = BTreeMap::new();
    let columns = ["sign_id", "edge_id", "pos_m", "text_rows", "text_cols"];
    rows_with(file, columns, &["pages"], found, |row| {
        let id = row.topic_id("sign_id", &mut seen);
        let rows = row.number("text_rows", "a whole number from 1 to 255", |n: &u8| *n > 0);
        let cols = row.number("text_cols", "a whole number from 1 to 255", |n: &u8| *n > 0);
        let pages = if row.has("pages") {
            row.number("pages", "1 or 2", |n: &u8| (1..=2).contains(n))
        } else {
            Some(1)
        };
        let Some((segment, road)) = row.edge("edge_id", roads) else { return };
        let pos_m = row.position(road);
        if let (Some(name), Some(rows), Some(cols), Some(pages), Some(pos_m)) =
            (id, rows, cols, pages, pos_m)
        {
            signs.push(Sign { name, segment, pos_m, rows, cols, pages, face: None });
        }
    });
    signs.sort_by(|a, b| a.name.cmp(&b.name));
    signs
}

/// A line of `fonts.csv`: what a sign's face is, its font by file name.
pub(super) struct Face {
    /// Index into the signs.
    pub sign: usize,
    pub font: String,
    pub width_px: u16,
    pub height_px: u16,
}

/// `fonts.csv`: the face of each sign that it names.
pub(super) fn faces(file: &Text, signs: &[Sign], found: &mut Findings<'_>) -> Vec<Face> {
    let mut faces = Vec::new();
    let mut seen = BTreeMap::new();
    rows(file, ["sign_id", "font", "width_px", "height_px"], found, |row| {
        let pixels = |row: &mut Row<'_, '_>, column: &str| {
            row.number(column, "a whole number of pixels over 0", |n: &u16| *n > 0)
        };
        let width_px = pixels(row, "width_px");
        let height_px = pixels(row, "height_px");
        let font = row.text("font").map(str::to_owned);
        if let Some(font) = font.as_ref().filter(|font| !is_topic_word(font)) {
            let font = quoted(font);
            row.bad(|| {
                format!("`font` {font} may hold only letters, digits, `_` and `-`: it is a file's name without `.tfon`")
            });
        }
        let Some(name) = row.text("sign_id").map(str::to_owned) else { return };
        let Some(sign) = signs.iter().position(|sign| sign.name == name) else {
            row.bad(|| format!("`sign_id` {} is not in signs.csv", quoted(&name)));
            return;
        };
        row.once(&mut seen, sign, "this sign's font");
        if let (Some(font), Some(width_px), Some(height_px)) = (font, width_px, height_px) {
            faces.push(Face { sign, font, width_px, height_px });
        }
    });
    faces
}

/// `names.csv`: the street of each edge that it names.
pub(super) fn streets(
    file: &Text,
    roads: &[Segment],
    found: &mut Findings<'_>,
) -> BTreeMap<SegmentId, String> {
    let mut streets = BTreeMap::new();
    let mut seen = BTreeMap::new();
    rows(file, ["edge_id", "street"], found, |row| {
        let street = row.name("street");
        let Some((segment, _)) = row.edge("edge_id", roads) else { return };
        row.once(&mut seen, segment, "this edge's street");
        streets.extend(street.map(|street| (segment, street)));
    });
    streets
}

/// `places.csv`, sorted by name, then edge.
pub(super) fn places(file: &Text, roads: &[Segment], found: &mut Findings<'_>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut seen = BTreeMap::new();
    rows(file, ["place", "edge_id", "arrivals_per_run"], found, |row| {
        let name = row.name("place");
        let weight = row.number("arrivals_per_run", "a number, 0 or more", |n: &f64| {
            n.is_finite() && *n >= 0.0
        });
        let Some((segment, _)) = row.edge("edge_id", roads) else { return };
        let (Some(name), Some(weight)) = (name, weight) else { return };
        row.once(&mut seen, (name.clone(), segment), "this place on this edge");
        places.push(Place { name, segment, weight });
    });
    places.sort_by(|a, b| (&a.name, a.segment).cmp(&(&b.name, b.segment)));
    places
}

/// What is wrong with a name, if anything: signs must be able to show it, messages to carry it.
pub(super) fn unfit_name(name: &str) -> Option<String> {
    if let Some(letter) = unspeakable(name) {
        return Some(format!("no sign can show its letter `{letter}`; write it in Latin letters"));
    }
    if name.chars().any(char::is_control) {
        return Some("it holds a control character".to_owned());
    }
    if name.chars().count() > LONGEST_NAME {
        return Some(format!("it has more than {LONGEST_NAME} characters"));
    }
    let letter = fold(name).chars().any(|c| c.is_ascii_alphanumeric());
    (!letter).then(|| "it has no letter".to_owned())
}

/// Walks the rows of a table that has all `columns`.
fn rows<const N: usize>(
    file: &Text,
    columns: [&'static str; N],
    found: &mut Findings<'_>,
    each: impl FnMut(&mut Row<'_, '_>),
) {
    rows_with(file, columns, &[], found, each);
}

/// The same of a table that may have the columns `more` as well.
fn rows_with<const N: usize>(
    file: &Text,
    columns: [&'static str; N],
    more: &[&'static str],
    found: &mut Findings<'_>,
    mut each: impl FnMut(&mut Row<'_, '_>),
) {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file.text.as_bytes());
    let headings = match reader.headers() {
        Ok(headings) => headings.clone(),
        Err(error) => return found.add(&file.name, Some(1), || error.to_string()),
    };
    let mut at = BTreeMap::new();
    let needed = columns.iter().map(|column| (*column, true));
    for (column, is_needed) in needed.chain(more.iter().map(|column| (*column, false))) {
        let mut places = headings.iter().enumerate().filter(|(_, name)| *name == column);
        match (places.next(), places.next()) {
            (Some((index, _)), None) => drop(at.insert(column, index)),
            (None, _) if !is_needed => {}
            (None, _) => found.add(&file.name, Some(1), || {
                let there: Vec<String> = headings.iter().take(20).map(quoted).collect();
                format!("lacks the column `{column}`; it has {}", there.join(", "))
            }),
            (Some(_), Some(_)) => {
                found.add(&file.name, Some(1), || format!("has the column `{column}` twice"));
            }
        }
    }
    if columns.iter().any(|column| !at.contains_key(column)) {
        return;
    }
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                each(&mut Row { file: &file.name, line, at: &at, record: &record, found });
            }
            Err(error) => {
                let line = error.position().map(csv::Position::line);
                found.add(&file.name, line, || match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("has {len} fields, not {expected_len} as the headings")
                    }
                    _ => error.to_string(),
                });
            }
        }
    }
}

/// One row of a table. Every getter adds a finding where it answers `None`.
struct Row<'r, 'd> {
    file: &'r str,
    line: u64,
    at: &'r BTreeMap<&'static str, usize>,
    record: &'r StringRecord,
    found: &'r mut Findings<'d>,
}

impl<'r> Row<'r, '_> {
    fn bad(&mut self, what: impl FnOnce() -> String) {
        self.found.add(self.file, Some(self.line), what);
    }

    /// Whether the table has a column that it need not have.
    fn has(&self, column: &str) -> bool {
        self.at.contains_key(column)
    }

    fn raw(&self, column: &str) -> &'r str {
        self.at.get(column).and_then(|index| self.record.get(*index)).unwrap_or_default()
    }

    fn text(&mut self, column: &str) -> Option<&'r str> {
        let text = self.raw(column);
        if text.is_empty() {
            self.bad(|| format!("`{column}` is empty"));
            return None;
        }
        Some(text)
    }

    fn number<T: FromStr>(
        &mut self,
        column: &str,
        expected: &str,
        fits: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let text = self.text(column)?;
        let number = text.parse().ok().filter(fits);
        if number.is_none() {
            self.bad(|| format!("`{column}` must be {expected}, not {}", quoted(text)));
        }
        number
    }

    /// The segment of an edge's id, by bisection: `roads` are sorted by name.
    fn edge<'n>(&mut self, column: &str, roads: &'n [Segment]) -> Option<(SegmentId, &'n Segment)> {
        let name = self.text(column)?;
        let index = roads.binary_search_by(|road| road.name.as_str().cmp(name)).ok();
        let known = index.and_then(|i| Some((SegmentId(u32::try_from(i).ok()?), roads.get(i)?)));
        if known.is_none() {
            self.bad(|| {
                let nearest = nearest(name, roads).map(quoted);
                let help = nearest.map(|near| format!("; the nearest is {near}"));
                let help = help.unwrap_or_default();
                format!("`{column}` leads nowhere: the network has no edge {}{help}", quoted(name))
            });
        }
        known
    }

    /// Metres from the start of the edge, no further than its end.
    fn position(&mut self, road: &Segment) -> Option<f64> {
        let length = road.length_m;
        let expected = format!("metres from the start of the edge, 0 to {length}");
        let fits = |pos: &f64| (0.0..=length + ROUNDING_M).contains(pos);
        self.number("pos_m", &expected, fits).map(|pos: f64| pos.min(length))
    }

    fn turn(&mut self) -> Option<Turn> {
        let turn = match self.text("turn")? {
            "s" => Turn::Straight,
            "l" => Turn::Left,
            "r" => Turn::Right,
            "L" => Turn::PartLeft,
            "R" => Turn::PartRight,
            "t" => Turn::TurnAround,
            other => {
                self.bad(|| format!("`turn` must be one of s l r L R t, not {}", quoted(other)));
                return None;
            }
        };
        Some(turn)
    }

    fn name(&mut self, column: &str) -> Option<String> {
        let name = self.text(column)?;
        if let Some(what) = unfit_name(name) {
            self.bad(|| format!("`{column}` {} cannot be used: {what}", quoted(name)));
            return None;
        }
        Some(name.to_owned())
    }

    /// An id that stands in topics and is taken once.
    fn topic_id(&mut self, column: &str, seen: &mut BTreeMap<String, u64>) -> Option<String> {
        let id = self.text(column)?;
        if !is_topic_word(id) {
            self.bad(|| {
                let id = quoted(id);
                format!("`{column}` {id} may hold only letters, digits, `_` and `-`: it stands in topics")
            });
            return None;
        }
        self.once(seen, id.to_owned(), &format!("`{column}` {}", quoted(id)));
        Some(id.to_owned())
    }

    /// A finding where `key` stood in an earlier row.
    fn once<K: Ord>(&mut self, seen: &mut BTreeMap<K, u64>, key: K, what: &str) {
        let line = self.line;
        let first = *seen.entry(key).or_insert(line);
        if first != line {
            self.bad(|| format!("{what} stands in line {first} already"));
        }
    }
}

/// The name most like an unknown one, where one is like it at all.
fn nearest<'n>(name: &str, roads: &'n [Segment]) -> Option<&'n str> {
    let likeness = |road: &'n Segment| (strsim::jaro_winkler(name, &road.name), &*road.name);
    // The first in order wins a tie.
    let better = |a: &(f64, &str), b: &(f64, &str)| a.0.total_cmp(&b.0).then(b.1.cmp(a.1));
    let (best, near) = roads.iter().map(likeness).max_by(better)?;
    (best > 0.6).then_some(near)
}
