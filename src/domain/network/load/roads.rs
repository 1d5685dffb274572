//! The roads of `network.geojson`: one `LineString` feature a segment.
//!
//! Features are read and checked one by one, so that a large file is never held as a tree.

use std::collections::BTreeMap;
use std::fmt;

use geo::{Coord, LineString};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::super::Segment;
use super::files::Text;
use super::findings::{Findings, quoted};
use super::is_topic_word;

/// Longer than any road between two junctions: a length in other units than metres.
const LONGEST_M: f64 = 200_000.0;
/// Faster than any road allows: a speed in other units than km/h.
const FASTEST_KMH: f64 = 200.0;

/// What the network file says.
#[derive(Debug)]
pub(super) struct Roads {
    pub city: String,
    /// Sorted by name.
    pub segments: Vec<Segment>,
}

/// Reads the file; what is wrong with it goes to `findings`, and then the answer means nothing.
pub(super) fn read(file: &Text, findings: &mut Findings<'_>) -> Roads {
    let mut collection = Collection {
        file: &file.name,
        findings,
        kind: None,
        city: None,
        features: None,
        first_at: BTreeMap::new(),
        segments: Vec::new(),
    };
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    let mut json = serde_json::Deserializer::from_str(text);
    if let Err(error) = collection.deserialize(&mut json).and_then(|()| json.end()) {
        let line = Some(error.line() as u64).filter(|line| *line > 0);
        collection.findings.add(&file.name, line, || format!("is not GeoJSON: {error}"));
        return Roads { city: String::new(), segments: Vec::new() };
    }
    collection.finish()
}

/// The file while it is being read.
struct Collection<'f, 'd> {
    file: &'f str,
    findings: &'f mut Findings<'d>,
    kind: Option<Value>,
    city: Option<Value>,
    /// Features seen, once there was a list of them.
    features: Option<usize>,
    /// The feature that brought each id first.
    first_at: BTreeMap<String, usize>,
    segments: Vec<Segment>,
}

impl Collection<'_, '_> {
    fn finish(mut self) -> Roads {
        if self.kind.as_ref().and_then(Value::as_str) != Some("FeatureCollection") {
            self.bad("has no \"type\": \"FeatureCollection\"");
        }
        match self.features {
            None => self.bad("has no list `features`"),
            Some(0) => self.bad("holds no road: `features` is empty"),
            Some(_) => {}
        }
        let city = self.city.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        if !is_topic_word(&city) {
            self.bad(
                "needs \"city\": a name of letters, digits, `_` and `-`, since it stands in topics",
            );
        }
        self.segments.sort_by(|a, b| a.name.cmp(&b.name));
        self.segments.shrink_to_fit();
        Roads { city, segments: self.segments }
    }

    fn bad(&mut self, what: &str) {
        self.findings.add(self.file, None, || what.to_owned());
    }

    /// Takes one feature, or says all that is wrong with it.
    fn take(&mut self, index: usize, value: &Value) {
        let mut feature = Feature::new(value);
        let segment = feature.segment();
        if let Some(id) = &feature.id
            && let Some(first) = self.first_at.insert(id.clone(), index)
        {
            feature.problems.push(format!("the id was taken by feature {first} already"));
        }
        let at = match &feature.id {
            Some(id) => format!("feature {index}, edge {}", quoted(id)),
            None => format!("feature {index}"),
        };
        for problem in &feature.problems {
            self.findings.add(self.file, None, || format!("{at}: {problem}"));
        }
        if feature.problems.is_empty() {
            self.segments.extend(segment);
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Collection<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Collection<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "type" => self.kind = Some(map.next_value()?),
                "city" => self.city = Some(map.next_value()?),
                "features" => map.next_value_seed(Features(&mut *self))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The list of features.
struct Features<'c, 'f, 'd>(&'c mut Collection<'f, 'd>);

impl<'de> DeserializeSeed<'de> for Features<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Features<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = self.0.features.unwrap_or(0);
        while let Some(value) = list.next_element::<Value>()? {
            self.0.take(index, &value);
            index += 1;
        }
        self.0.features = Some(index);
        Ok(())
    }
}

/// One feature and what is wrong with it.
struct Feature<'v> {
    id: Option<String>,
    geometry: Option<&'v Value>,
    properties: Option<&'v Map<String, Value>>,
    problems: Vec<String>,
}

impl<'v> Feature<'v> {
    fn new(value: &'v Value) -> Self {
        let properties = value.get("properties").and_then(Value::as_object);
        let own = value.get("id").and_then(Value::as_str);
        let property = properties.and_then(|p| p.get("id")).and_then(Value::as_str);
        let mut problems = Vec::new();
        if value.get("type").and_then(Value::as_str) != Some("Feature") {
            problems.push("has no \"type\": \"Feature\"".to_owned());
        }
        if let (Some(own), Some(property)) = (own, property)
            && own != property
        {
            problems.push(format!("has another id in its properties: {}", quoted(property)));
        }
        let id = property.or(own).filter(|id| !id.is_empty()).map(ToOwned::to_owned);
        if id.is_none() {
            problems.push("has no id that is a text".to_owned());
        }
        Self { id, geometry: value.get("geometry"), properties, problems }
    }

    /// The segment; meaningless once there are problems. Every part is looked at, so that all
    /// problems come out at once.
    fn segment(&mut self) -> Option<Segment> {
        if self.properties.is_none() {
            self.problems.push("has no `properties`".to_owned());
            return None;
        }
        let from_junction = self.text("from");
        let to_junction = self.text("to");
        let street = self.street();
        let length_m = self.positive("length_m", "metres", LONGEST_M);
        let speed_limit_kmh = self.positive("speed_limit_kmh", "km/h", FASTEST_KMH);
        let lanes = self.lanes();
        let cars_allowed = self.flag("cars_allowed");
        let to_signal = self.flag("to_signal");
        let line = self.line();
        Some(Segment {
            name: self.id.clone()?,
            from_junction: from_junction?,
            to_junction: to_junction?,
            street,
            length_m: length_m?,
            speed_limit_kmh: speed_limit_kmh?,
            lanes: lanes?,
            cars_allowed: cars_allowed?,
            to_signal: to_signal?,
            line: line?,
        })
    }

    /// A property, or a problem where it is not there or not of the kind that `read` takes.
    fn property<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.properties.and_then(|p| p.get(key));
        let Some(value) = value else {
            self.problems.push(format!("lacks the property `{key}`, {expected}"));
            return None;
        };
        let read = read(value);
        if read.is_none() {
            let found = quoted(&value.to_string());
            self.problems.push(format!("`{key}` must be {expected}, not {found}"));
        }
        read
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let read = |v: &Value| v.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        self.property(key, "a text", read)
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        self.property(key, "true or false", Value::as_bool)
    }

    fn positive(&mut self, key: &str, unit: &str, most: f64) -> Option<f64> {
        let expected = format!("a number of {unit} over 0 and at most {most}");
        let fits = |number: &f64| number.is_finite() && *number > 0.0 && *number <= most;
        self.property(key, &expected, |v| v.as_f64().filter(fits))
    }

    fn lanes(&mut self) -> Option<u16> {
        let read = |v: &Value| v.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
        self.property("lanes", "a whole number from 1 to 65535", read)
    }

    /// The name may be absent or null.
    fn street(&mut self) -> Option<String> {
        match self.properties.and_then(|p| p.get("name")) {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => {
                Some(unescaped(name).trim().to_owned()).filter(|name| !name.is_empty())
            }
            Some(other) => {
                let found = quoted(&other.to_string());
                self.problems.push(format!("`name` must be a text or null, not {found}"));
                None
            }
        }
    }

    fn line(&mut self) -> Option<LineString<f64>> {
        let kind = self.geometry.and_then(|g| g.get("type")).and_then(Value::as_str);
        let points = self.geometry.and_then(|g| g.get("coordinates")).and_then(Value::as_array);
        let (Some("LineString"), Some(points)) = (kind, points) else {
            self.problems.push("its geometry is not a LineString".to_owned());
            return None;
        };
        if points.len() < 2 {
            self.problems.push(format!("its line has {} point, not two or more", points.len()));
            return None;
        }
        let mut line = Vec::with_capacity(points.len());
        for (index, point) in points.iter().enumerate() {
            let Some(coord) = coordinate(point) else {
                let found = quoted(&point.to_string());
                self.problems.push(format!(
                    "point {index} must be [longitude, latitude] in degrees (WGS 84), not {found}"
                ));
                return None;
            };
            line.push(coord);
        }
        Some(LineString(line))
    }
}

/// A position in degrees; a height behind it is passed over.
fn coordinate(point: &Value) -> Option<Coord<f64>> {
    let x = point.get(0)?.as_f64()?;
    let y = point.get(1)?.as_f64()?;
    ((-180.0..=180.0).contains(&x) && (-90.0..=90.0).contains(&y)).then_some(Coord { x, y })
}

/// Names that came through XML unread still hold its five entities: `Avenue d&apos;Ostende`.
fn unescaped(name: &str) -> String {
    name.replace("&apos;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}
