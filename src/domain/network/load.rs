//! Reading a network from its folder: `network.geojson(.gz)`, `connections.csv`, `sensors.csv`,
//! `signs.csv` and, where there are any, `names.csv`, `places.csv`, and `fonts.csv` with the `.tfon`
//! files that it names.
//!
//! Everything that is wrong comes out at once, file by file: first the roads, then, once they
//! stand, the tables that refer to them. A network that loads is whole: every edge that anything
//! names is there, and every name can be shown.

mod files;
mod findings;
mod roads;
mod tables;

use std::path::Path;

pub use findings::{NetworkError, NetworkFinding};

use super::{ByName, Connection, Network, Segment, SegmentId, SignFace};
use files::{Folder, Text};
use findings::{Findings, quoted};

const ROADS: &str = "network.geojson";

impl Network {
    /// Reads and checks the whole folder.
    ///
    /// Ids are indices into sorted lists, so that the order of lines in a file changes nothing:
    /// segments by name (in byte order), detectors and signs by id, places by name, then edge.
    pub fn load(dir: &Path) -> Result<Self, NetworkError> {
        let mut findings = Findings::new(dir);
        if !dir.is_dir() {
            findings.add("", None, || "is not a folder, or may not be read".to_owned());
            return Err(findings.into_error());
        }
        let mut folder = Folder::new(dir);
        let roads = needed(&mut folder, ROADS, &mut findings)
            .map(|file| (roads::read(&file, &mut findings), file.name));
        let Some((roads, roads_file)) = roads.filter(|_| findings.is_empty()) else {
            return Err(findings.into_error());
        };
        let mut segments = roads.segments;

        let found = &mut findings;
        let connections = needed(&mut folder, "connections.csv", found)
            .map(|file| tables::connections(&file, &segments, found));
        let detectors = needed(&mut folder, "sensors.csv", found)
            .map(|file| tables::detectors(&file, &segments, found));
        let signs = needed(&mut folder, "signs.csv", found)
            .map(|file| tables::signs(&file, &segments, found));
        let mut signs = signs.unwrap_or_default();
        if let Some(file) = folder.read("fonts.csv", found) {
            for face in tables::faces(&file, &signs, found) {
                let name = format!("{}.tfon", face.font);
                let Some(font) = needed(&mut folder, &name, found) else { continue };
                if let Some(sign) = signs.get_mut(face.sign) {
                    let (width_px, height_px) = (face.width_px, face.height_px);
                    let file = dir.join(&font.name).display().to_string();
                    sign.face =
                        Some(SignFace { font: font.text.into(), file, width_px, height_px });
                }
            }
        }
        let streets =
            folder.read("names.csv", found).map(|file| tables::streets(&file, &segments, found));
        let places =
            folder.read("places.csv", found).map(|file| tables::places(&file, &segments, found));

        let mut streets = streets.unwrap_or_default();
        for (index, segment) in segments.iter_mut().enumerate() {
            match streets.remove(&SegmentId(index as u32)) {
                Some(street) => segment.street = Some(street),
                None => check_street(&roads_file, segment, found),
            }
        }
        if !findings.is_empty() {
            return Err(findings.into_error());
        }
        let (outgoing, incoming) = by_end(connections.unwrap_or_default(), segments.len());
        Ok(Self {
            city: roads.city,
            hash: folder.hash(),
            by_name: ByName::of(&segments),
            segments,
            detectors: detectors.unwrap_or_default(),
            signs,
            places: places.unwrap_or_default(),
            outgoing,
            incoming,
        })
    }
}

/// Reads a file that must be there.
fn needed(folder: &mut Folder<'_>, name: &str, found: &mut Findings<'_>) -> Option<Text> {
    let before = found.count();
    let file = folder.read(name, found);
    if file.is_none() && found.count() == before {
        found.add(name, None, || "is missing".to_owned());
    }
    file
}

/// A street's name that the network file brings and `names.csv` does not replace.
fn check_street(file: &str, segment: &Segment, found: &mut Findings<'_>) {
    let Some(street) = &segment.street else { return };
    if let Some(what) = tables::unfit_name(street) {
        found.add(file, None, || {
            let (edge, street) = (quoted(&segment.name), quoted(street));
            format!("edge {edge}: its name {street} cannot be used: {what}, here or in names.csv")
        });
    }
}

/// Moves by the segment they leave and by the segment they enter.
fn by_end(all: Vec<Connection>, segments: usize) -> (Vec<Vec<Connection>>, Vec<Vec<Connection>>) {
    let mut outgoing = vec![Vec::new(); segments];
    let mut incoming = vec![Vec::new(); segments];
    for connection in all {
        // Both ends were looked up in these segments.
        if let Some(moves) = outgoing.get_mut(connection.from.0 as usize) {
            moves.push(connection);
        }
        if let Some(moves) = incoming.get_mut(connection.to.0 as usize) {
            moves.push(connection);
        }
    }
    for moves in &mut outgoing {
        moves.sort_by_key(|c| c.to);
        moves.shrink_to_fit();
    }
    for moves in &mut incoming {
        moves.sort_by_key(|c| c.from);
        moves.shrink_to_fit();
    }
    (outgoing, incoming)
}

/// Whether a word may stand as one level of a topic (wire.md).
fn is_topic_word(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !word.is_empty() && word.len() <= 64 && word.chars().all(fits)
}

#[cfg(test)]
mod tests;
